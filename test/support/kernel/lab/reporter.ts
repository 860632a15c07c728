import type { TestEvent as NodeTestEvent } from 'node:test/reporters';
import type { Outcome, ReportedError, TestEvent, TestId } from './events.js';

/** The lines with which node:test ends a run; the run outside prints its own. */
const SUMMARY = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/;

/** A reporter for node:test inside the lab: writes each event as a line of JSON. */
export default async function* report(source: AsyncIterable<NodeTestEvent>): AsyncGenerator<string> {
  for await (const event of source) {
    const told = tell(event);
    if (told) yield `${JSON.stringify(told)}\n`;
  }
  const done: TestEvent = { kind: 'done' };
  yield `${JSON.stringify(done)}\n`;
}

function tell({ type, data }: NodeTestEvent): TestEvent | undefined {
  switch (type) {
    // These two come when a test starts and ends; test:start, test:pass and test:fail come later, in the file's order.
    case 'test:dequeue':
      return { kind: 'start', ...identify(data) };
    case 'test:complete': {
      const error = data.details.passed ? undefined : reportError(data.details.error);
      const outcome: Outcome = { ...(error && { error }), ...mark('skip', data.skip), ...mark('todo', data.todo) };
      return { kind: 'end', ...identify(data), outcome };
    }
    case 'test:diagnostic':
      return SUMMARY.test(data.message) ? undefined : { kind: 'diagnostic', message: data.message };
    default:
      return undefined;
  }
}

const identify = ({
  nesting,
  name,
  line,
  column,
}: Omit<TestId, 'place'> & { line?: number; column?: number }): TestId => ({
  nesting,
  name,
  place: `${line ?? 0}:${column ?? 0}`,
});

const mark = (name: 'skip' | 'todo', value: string | boolean | undefined): Outcome =>
  value === undefined || value === false ? {} : { [name]: value === '' ? true : value };

/** The cause is the error that the test threw; the outer error is node:test's own. */
function reportError(error: (Error & { failureType?: unknown }) | undefined): ReportedError | undefined {
  if (error === undefined || error.failureType === 'subtestsFailed') return undefined;
  const cause = error.cause instanceof Error ? error.cause : error;
  return { name: cause.name, message: cause.message, stack: cause.stack ?? `${cause.name}: ${cause.message}` };
}
