/**
 * What a kind of device does with its queues. It runs in a data thread of its own, which may block; see data-thread.ts.
 */
import type { DeviceQueue } from './queue.js';
import type { ServeResult } from './serve-result.js';

export { MORE, QUIET, STARVED, WAIT, type ServeResult } from './serve-result.js';

/** A device's work on the queues of one data thread. */
export interface DataPlane {
  /** The driver has set the device up. @param features what it negotiated */
  start(features: bigint): void;

  /**
   * Serves a queue for a while: takes chains, completes them in the order in which it took them, and calls
   * {@link DeviceQueue.flush}. Called when the driver kicks and when a watched descriptor has something to read.
   * All that was taken must be completed or put back when it returns. {@link DeviceQueue.checkMemory} comes between taking
   * chains and doing what they ask for.
   * @throws BrokenRingError: the queue is not served any more until the device is reset
   */
  serve(queue: DeviceQueue): ServeResult;

  /** Takes a change that the main thread has sent. */
  change?(change: unknown): void;

  /** The last call: everything that was written is made durable, everything that is open is closed. */
  close(): void;
}

/** What a data plane is given when it is made. */
export interface DataPlaneContext {
  readonly queueCount: number;
  /** How many descriptors a queue has at most. */
  readonly queueSize: number;
  /** The queues that this thread serves. */
  readonly queues: readonly number[];
  /** A few words that all threads of the device share; 0 at first. */
  readonly shared: Int32Array;
  /** Calls `readable`, and then serves all queues, when the descriptor, which must not block, has something new to read. */
  watch(fd: number, readable: () => void): void;
}

/** How a module makes its data plane; it exports it under this name. */
export type CreateDataPlane<Options> = (options: Options, context: DataPlaneContext) => DataPlane | Promise<DataPlane>;

/** Which module makes the data plane of a device, and what it is given. */
export interface DataPlaneModule {
  /** URL of a module that exports `createDataPlane`, a {@link CreateDataPlane}. */
  readonly module: string;
  /** Passed by structured clone. File descriptors are numbers: the threads are of one process. */
  readonly options: unknown;
}
