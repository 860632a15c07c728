import type { TestContext } from 'node:test';
import type { Outcome, ReportedError, TestEvent, TestId } from './events.js';

/** A test that has started inside, with the test that represents it outside. */
interface Shown {
  readonly context: Promise<TestContext>;
  /** The subtests' tests outside, which must end before this one. */
  readonly subtests: Promise<void>[];
  /** Subtests that have started but not ended. */
  readonly open: (TestId & Shown)[];
  readonly end: (outcome: Outcome) => void;
}

/**
 * Shows a test run inside the lab as subtests of a test outside, while it runs: each starts and ends when the one inside does,
 * with the same name, and fails with the same error. If tests inside run concurrently, a subtest may be shown below a sibling of
 * its parent.
 */
export class Replay {
  private readonly file: Shown;
  private readonly decoder = new TextDecoder();
  private rest = '';
  private done = false;
  private count = 0;

  /** @param context the test outside that represents the test file */
  constructor(context: TestContext) {
    this.file = { context: Promise.resolve(context), subtests: [], open: [], end: () => undefined };
  }

  /** Takes a piece of what the reporter inside writes. */
  take(bytes: Uint8Array): void {
    const lines = (this.rest + this.decoder.decode(bytes, { stream: true })).split('\n');
    this.rest = lines.pop() ?? '';
    for (const line of lines) this.show(JSON.parse(line) as TestEvent);
  }

  /**
   * Ends the replay when the run inside is over.
   * @param problem why it did not complete; the open tests fail with it
   * @throws {Error} when the run was incomplete, even if no test failed
   */
  async finish(problem: string | undefined): Promise<void> {
    const whole = this.done && this.count > 0;
    const failure = problem ?? (whole ? undefined : 'the test file ended before all its tests, or has none');
    abandon(this.file, failure);
    await Promise.all(this.file.subtests);
    if (failure !== undefined) throw new Error(failure);
  }

  private show(event: TestEvent): void {
    switch (event.kind) {
      case 'start':
        this.start(event);
        break;
      case 'end':
        this.end(event, event.outcome);
        break;
      case 'diagnostic':
        void this.file.context.then((context) => {
          context.diagnostic(event.message);
        });
        break;
      case 'done':
        this.done = true;
    }
  }

  private start(id: TestId): Shown {
    const parent = this.latestOpen(id.nesting);
    const context = deferred<TestContext>();
    const outcome = deferred<Outcome>();
    const subtests: Promise<void>[] = [];
    const runs = parent.context.then((outside) =>
      outside.test(id.name, async (own) => {
        context.resolve(own);
        const { error, skip, todo } = await outcome.promise;
        await Promise.all(subtests);
        if (skip !== undefined) own.skip(skip === true ? undefined : skip);
        if (todo !== undefined) own.todo(todo === true ? undefined : todo);
        if (error) throw revive(error);
      }),
    );
    parent.subtests.push(runs);
    const shown = { ...id, context: context.promise, subtests, open: [], end: outcome.resolve };
    parent.open.push(shown);
    return shown;
  }

  private end(id: TestId, outcome: Outcome): void {
    this.count++;
    const siblings = this.parents(id.nesting).map(({ open }) => open);
    const isIt = (other: TestId) => other.name === id.name && other.place === id.place;
    const among = siblings.find((open) => open.some(isIt));
    const shown = among ? among.splice(among.findIndex(isIt), 1)[0] : undefined;
    if (shown) {
      abandon(shown, undefined);
      shown.end(outcome);
    } else {
      // A test that never started, because its parent was cancelled.
      this.start(id).end(outcome);
      this.latestOpen(id.nesting).open.pop();
    }
  }

  /** The open tests at the level above `nesting`, the one that started last at the end. */
  private parents(nesting: number): Shown[] {
    let level: Shown[] = [this.file];
    for (let depth = 0; depth < nesting; depth++) {
      const below = level.flatMap(({ open }) => open);
      if (below.length === 0) break;
      level = below;
    }
    return level;
  }

  private latestOpen(nesting: number): Shown {
    return this.parents(nesting).at(-1) ?? this.file;
  }
}

/** Ends everything open below a test, and the test itself. */
function abandon(test: Shown, problem: string | undefined): void {
  const message = problem ?? 'the test did not end';
  for (const subtest of test.open.splice(0)) {
    abandon(subtest, problem);
    subtest.end({ error: { name: 'Error', message, stack: `Error: ${message}` } });
  }
}

function revive({ name, message, stack }: ReportedError): Error {
  const error = new Error(message);
  error.name = name;
  error.stack = stack;
  return error;
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
}

function deferred<T>(): Deferred<T> {
  let resolve!: (value: T) => void; // The promise calls its executor before it returns.
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
