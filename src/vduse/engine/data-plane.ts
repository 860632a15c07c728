/** The work of a kind of device on its queues. It runs in a data thread of its own, which may block; see thread.ts. */
import type { DeviceQueue } from './queue.js';
import type { ServeResult } from './serve-result.js';
import type { Waiter } from './waiter.js';

export { MORE, QUIET, STARVED, ServeResult, WAIT } from './serve-result.js';

/**
 * A device's work on the queues of one data thread. `Change` is what its server sends with `change`; nothing by
 * default.
 */
export interface DataPlane<Change = never> {
  /** Called when the driver has set up the device. @param features the negotiated features */
  start(features: bigint): void;

  /**
   * Serves a queue for a while: takes chains, completes them in the order in which it took them, and calls {@link
   * DeviceQueue.flush}. Called when the driver kicks and when a watched descriptor is readable. All chains taken must
   * be completed or put back before it returns, except those of {@link transfers}. {@link DeviceQueue.checkMemory} must
   * be called between taking chains and executing them.
   * @throws BrokenRingError: the queue is no longer served until the device is reset
   */
  serve(queue: DeviceQueue): ServeResult;

  /**
   * It completes chains in any order, with {@link DeviceQueue.take}, {@link DeviceQueue.begin} and {@link
   * DeviceQueue.complete}.
   */
  readonly outOfOrder?: boolean;

  /** For a plane that leaves chains in flight when {@link serve} returns. */
  readonly transfers?: Transfers;

  /** Handles a change sent by the main thread. */
  change?(change: Change): void;

  /** The last call: makes all written data durable and closes everything. */
  close(): void;
}

/** The chains that a data plane has begun and not completed, of all its queues. */
export interface Transfers {
  /** How many they are. */
  readonly count: number;
  /**
   * Whether the kernel may read or write their memory until they are done, even if it is revoked: it has pinned the
   * pages.
   */
  readonly pinned: boolean;
  /** Whether {@link reap} has something to do. */
  readonly hasDone: boolean;
  /** What the thread sleeps in; it wakes when something is done. The plane closes it. */
  readonly waiter: Waiter;
  /** Completes and publishes the chains that are done. @returns whether there were any @throws MemoryRevokedError */
  reap(): boolean;
  /**
   * Cancels what can be cancelled: these chains are not completed, and the next server of the queue begins them again.
   */
  cancel(): void;
}

/** The context in which a data plane is created. */
export interface DataPlaneContext {
  readonly queueCount: number;
  /** Maximum number of descriptors of a queue. */
  readonly queueSize: number;
  /** The queues that this thread serves. */
  readonly queues: readonly number[];
  /**
   * No log of the chains in flight outlives the server, so that chains must be completed in the order in which they
   * were taken: the used index alone tells the next server where to continue.
   */
  readonly ordered: boolean;
  /** Words shared by all threads of the device; initially 0. */
  readonly shared: Int32Array;
  /**
   * Calls `readable`, and then serves all queues, when the descriptor, which must be non-blocking, has new data to
   * read.
   */
  watch(fd: number, readable: () => void): void;
}

/** Creates the data plane; a module exports it under this name. */
export type CreateDataPlane<Options, Change = never> = (
  options: Options,
  context: DataPlaneContext,
) => DataPlane<Change> | Promise<DataPlane<Change>>;

/** The module that creates the data plane of a device, and its options. */
export interface DataPlaneModule {
  /** URL of a module that exports `createDataPlane`, a {@link CreateDataPlane}. */
  readonly module: string;
  /** Passed by structured clone. File descriptors are numbers: the threads are in one process. */
  readonly options: unknown;
}
