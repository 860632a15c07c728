/** Counts requests and their latencies while a benchmark runs. */
import { LatencyHistogram } from './latency.js';
import type { Measurement, OperationName } from './measurement.js';

interface Counter {
  readonly name: OperationName;
  requests: number;
  bytes: number;
  latency: LatencyHistogram;
}

/** A clock that stops while the driver does something else, and counters. */
export class Meter {
  /** The time when the clock was read last, in milliseconds. */
  time = 0;
  /** Packets that did not come back. */
  lost = 0;
  #counters: readonly Counter[];
  readonly #bytes: number;
  #paused = 0;
  #begin = 0;
  #processor = process.cpuUsage();

  /** @param bytes of each request */
  constructor(operations: readonly OperationName[], bytes: number) {
    this.#bytes = bytes;
    this.#counters = operations.map((name) => newCounter(name));
    this.read();
  }

  /** Reads the clock. */
  read(): number {
    return (this.time = performance.now() - this.#paused);
  }

  /** Counts a request. @param operation its index */
  count(operation: number, milliseconds: number): void {
    const counter = this.#counters[operation];
    if (counter === undefined) return;
    counter.requests++;
    counter.bytes += this.#bytes;
    counter.latency.record(milliseconds);
  }

  /** The clock stops during a task. */
  async pause<Result>(task: () => Promise<Result>): Promise<Result> {
    const before = performance.now();
    try {
      return await task();
    } finally {
      this.#paused += performance.now() - before;
    }
  }

  /** Starts anew. */
  reset(): void {
    this.#counters = this.#counters.map(({ name }) => newCounter(name));
    this.lost = 0;
    this.#processor = process.cpuUsage();
    this.#begin = this.read();
  }

  /** Requests since {@link reset}. */
  get requests(): number {
    return this.#counters.reduce((sum, { requests }) => sum + requests, 0);
  }

  /** Seconds since {@link reset}. */
  get seconds(): number {
    return (this.time - this.#begin) / 1000;
  }

  /** What was counted since {@link reset}. */
  measurement(): Measurement {
    const { seconds, lost } = this;
    const { user, system } = process.cpuUsage(this.#processor);
    const busy = seconds === 0 ? 0 : Math.min(1, (user + system) / 1e6 / seconds);
    return { operations: this.#counters.map((counter) => ({ ...counter })), seconds, busy, lost };
  }
}

function newCounter(name: OperationName): Counter {
  return { name, requests: 0, bytes: 0, latency: new LatencyHistogram() };
}
