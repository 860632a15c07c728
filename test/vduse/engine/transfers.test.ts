/** Chains that are in flight when the data plane has served its queues. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openEventfd, signalEventfd } from '../../../src/sys/events.js';
import { close } from '../../../src/sys/libc.js';
import { DescriptorChain } from '../../../src/virtio/descriptor-chain.js';
import { QueueCounters } from '../../../src/vduse/engine/counters.js';
import { WAIT, type ServeResult, type Transfers } from '../../../src/vduse/engine/data-plane.js';
import { InflightLog } from '../../../src/vduse/engine/inflight-log.js';
import type { DeviceQueue } from '../../../src/vduse/engine/queue.js';
import type { Command } from '../../../src/vduse/engine/thread.js';
import { EpollWaiter } from '../../../src/vduse/engine/waiter.js';
import { ThreadUnderTest } from './thread-and-driver.js';

const EXIT: Command = { type: 'exit', ticket: 99 };

interface Options {
  readonly pinned?: boolean;
  /** Sent when the first chain is in flight. */
  readonly then: readonly Command[];
  /** Called each time when the thread is about to sleep. @returns whether it sleeps, is woken, or all transfers are done */
  readonly whenIdle?: (thread: ThreadUnderTest, time: number) => 'sleep' | 'wake' | 'done';
  readonly requests?: number;
}

/** A thread whose plane has transfers that a test completes. */
class Flight {
  readonly thread: ThreadUnderTest;
  readonly log = InflightLog.inMemory(8, true);
  readonly events: string[] = [];
  readonly heads: number[] = [];
  readonly #eventfd = openEventfd();
  readonly #waiter = new EpollWaiter(() => this.#prepareToSleep());
  readonly #options: Options;
  readonly #chain = new DescriptorChain(16);
  readonly #inFlight: { queue: DeviceQueue; head: number }[] = [];
  #isDone = false;
  #cancelled = false;
  #idle = 0;
  #sent = false;

  constructor(options: Options) {
    this.#options = options;
    this.#waiter.watch(this.#eventfd, () => undefined);
    this.thread = new ThreadUnderTest(
      {
        outOfOrder: true,
        transfers: this.#transfers(),
        serve: (queue) => this.#serve(queue),
        close: () => void this.events.push('close'),
      },
      { logs: [this.log] },
    );
    for (let request = 0; request < (options.requests ?? 1); request++) this.thread.offer();
  }

  #serve(queue: DeviceQueue): ServeResult {
    while (queue.take(this.#chain)) {
      queue.begin(this.#chain.head);
      this.#inFlight.push({ queue, head: this.#chain.head });
      this.heads.push(this.#chain.head);
    }
    if (!this.#sent && this.#inFlight.length > 0) this.thread.send(...this.#options.then);
    this.#sent = true;
    return WAIT;
  }

  #prepareToSleep(): boolean {
    const next = this.#options.whenIdle?.(this.thread, this.#idle++) ?? 'done';
    this.#isDone = next === 'done';
    if (next !== 'sleep') signalEventfd(this.#eventfd);
    return this.#isDone && this.#inFlight.length > 0;
  }

  #transfers(): Transfers {
    const count = (): number => this.#inFlight.length;
    const isDone = (): boolean => this.#isDone;
    return {
      get count() {
        return count();
      },
      get hasDone() {
        return isDone() && count() > 0;
      },
      pinned: this.#options.pinned ?? false,
      waiter: this.#waiter,
      reap: () => {
        const done = this.#inFlight.splice(0).reverse();
        this.#isDone = false;
        this.events.push(this.#cancelled ? 'cancelled' : 'done');
        if (this.#cancelled) return false;
        for (const { queue, head } of done) queue.complete(head, 0);
        for (const queue of new Set(done.map(({ queue: each }) => each))) if (queue.usable) queue.flush();
        return true;
      },
      cancel: () => {
        this.#cancelled = true;
        this.#isDone = true;
        this.events.push('cancel');
      },
    };
  }

  async run(): Promise<void> {
    this.thread.send({ type: 'start', features: 0n, queues: [this.thread.setup()] });
    await this.thread.run();
    this.#waiter.close();
    close(this.#eventfd);
  }

  /** The notices of commands that are done, and how many chains the driver had got back then. */
  get tickets(): number[] {
    return this.thread.notices.flatMap((notice) => (notice.type === 'done' ? [notice.ticket] : []));
  }
}

describe('chains in flight', () => {
  test('wake the thread when they are done, and are published together', async () => {
    const flight = new Flight({
      then: [],
      requests: 3,
      whenIdle: (thread, time) => {
        if (time === 0) assert.equal(thread.driver.usedIndex, 0);
        if (thread.driver.usedIndex === 3) thread.send(EXIT);
        return 'done';
      },
    });
    await flight.run();
    const { driver, counters } = flight.thread;
    assert.deepEqual(
      [driver.collect(), driver.collect(), driver.collect()].map((used) => used?.head),
      flight.heads.reverse(),
    );
    assert.equal(QueueCounters.at(counters, 0).read().interrupts, 1);
    assert.deepEqual(flight.thread.transferWords, [0, 1, 0]);
  });

  for (const command of [
    { type: 'stop', ticket: 1, reset: false },
    { type: 'stop', ticket: 1, reset: true },
    { type: 'stop-queue', ticket: 1, queue: 0 },
    { type: 'invalidate', ticket: 1, start: 0n, last: 2n ** 64n - 1n },
    EXIT,
  ] as const) {
    const what = 'reset' in command ? `${command.type}${command.reset ? ' (reset)' : ''}` : command.type;
    test(`are completed before "${what}" is answered`, async () => {
      const flight = new Flight({
        pinned: true,
        then: [command, ...(command === EXIT ? [] : [EXIT])],
        whenIdle: (thread, time) => {
          assert.deepEqual([thread.notices, thread.transferWords], [[], [1, 0, 1]], 'it is not answered yet');
          return time >= 2 ? 'done' : 'wake';
        },
      });
      await flight.run();
      assert.equal(flight.thread.driver.usedIndex, 1);
      assert.deepEqual(flight.tickets, command === EXIT ? [99] : [1, 99]);
      assert.deepEqual(flight.events, ['done', 'close']);
      assert.deepEqual(flight.thread.transferWords, [0, 1, 0]);
    });
  }

  test('that take long are cancelled for a driver that resets the device, and not begun again', async () => {
    const flight = new Flight({ then: [{ type: 'stop', ticket: 1, reset: true }, EXIT], whenIdle: () => 'sleep' });
    await flight.run();
    assert.deepEqual(flight.events, ['cancel', 'cancelled', 'close']);
    assert.equal(flight.thread.driver.usedIndex, 0);
    assert.equal(flight.log.hasInFlight, false);
  });

  test('that take long when the server ends are cancelled, and left to the next one', async () => {
    const flight = new Flight({ then: [EXIT], whenIdle: () => 'sleep' });
    await flight.run();
    assert.deepEqual(flight.events, ['cancel', 'cancelled', 'close']);
    assert.deepEqual(flight.log.recover(flight.log.usedIndex ?? -1), flight.heads);
  });

  test('whose memory was revoked are not published, and begun again', async () => {
    const flight = new Flight({
      then: [{ type: 'invalidate', ticket: 1, start: 0n, last: 0xffff_ffffn }],
      whenIdle: (thread, time) => {
        if (time === 0) thread.revoke();
        if (time > 0 && thread.driver.usedIndex === 1) thread.send(EXIT);
        return 'done';
      },
    });
    await flight.run();
    assert.deepEqual(flight.events, ['done', 'done', 'close']);
    assert.equal(flight.heads.length, 2);
    assert.equal(flight.heads[0], flight.heads[1]);
    assert.equal(flight.thread.driver.usedIndex, 1);
  });
});
