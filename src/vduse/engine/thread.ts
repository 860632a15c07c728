import { setImmediate } from 'node:timers/promises';
import { receiveMessageOnPort, type MessagePort } from 'node:worker_threads';
import { monotonicMs } from '../../sys/clock.js';
import { LostMemory, type MemoryGuard } from '../../sys/memory-guard.js';
import { BrokenRingError } from '../../virtio/virtqueue.js';
import { QueueCounters } from './counters.js';
import { MORE, QUIET, STARVED, WAIT, type DataPlane, type Transfers } from './data-plane.js';
import type { VduseDevice } from '../kernel/device.js';
import type { Interrupt } from '../kernel/interrupt.js';
import { DeviceQueue, MemoryRevokedError, type QueueOwner, type QueueSetup } from './queue.js';
import type { InflightLog } from './inflight-log.js';
import { Iotlb } from './iotlb.js';
import { MappingTable, type SharedMappings } from './mappings.js';
import { BusyPoll } from './busy-poll.js';
import { EpollWaiter, type Waiter } from './waiter.js';

/** Commands of the main thread to a data thread. Those with a ticket are answered when they are done. */
export type Command =
  | { readonly type: 'start'; readonly features: bigint; readonly queues: readonly QueueSetup[] }
  | { readonly type: 'start-queue'; readonly queue: QueueSetup }
  /** `reset`: the driver does not wait for its requests any longer. */
  | { readonly type: 'stop'; readonly ticket: number; readonly reset: boolean }
  | { readonly type: 'stop-queue'; readonly ticket: number; readonly queue: number }
  | { readonly type: 'invalidate'; readonly ticket: number; readonly start: bigint; readonly last: bigint }
  | { readonly type: 'change'; readonly change: unknown }
  | { readonly type: 'exit'; readonly ticket: number };

/** Messages of a data thread to the main thread. */
export type ThreadMessage =
  | { readonly type: 'ready' }
  | { readonly type: 'done'; readonly ticket: number }
  | { readonly type: 'broken'; readonly queue: number; readonly reason: string };

/** Words that a data thread shares with the main thread. */
export const threadWord = {
  /** Number of commands sent. */
  commands: 0,
  /** Number of revocations of guest memory. */
  revocations: 1,
  /** Incremented when the thread starts to serve a queue and when it stops: odd while it serves. */
  serving: 2,
  /** Number of chains in flight, and how often some were completed. */
  inFlight: 3,
  completions: 4,
  /** Whether the kernel may access the memory of the chains in flight even if it is revoked. */
  pinned: 5,
  length: 6,
} as const;

/** While an interrupt is pending. */
const RETRY_MS = 1;

/** Time that transfers are given before those that can be are cancelled, when the driver does not wait for them. */
const CANCEL_AFTER_MS = 1000;

/** A descriptor that a data plane watches. */
export interface Watched {
  readonly fd: number;
  readonly readable: () => void;
}

/**
 * The loop of a data thread: it serves its queues, sleeps when there is no work, and executes commands of the main
 * thread between two rounds. Only data threads access guest memory; the main thread never does, so it can always answer
 * the kernel.
 */
export class DataThread {
  readonly #plane: DataPlane<unknown>;
  readonly #transfers: Transfers | undefined;
  readonly #logs: readonly InflightLog[];
  readonly #commands: MessagePort;
  readonly #words: Int32Array;
  readonly #counters: SharedArrayBuffer;
  readonly #iotlb: Iotlb;
  readonly #ownWaiter?: EpollWaiter;
  readonly #waiter: Waiter;
  readonly #owner: QueueOwner;
  readonly #notify: (notice: ThreadMessage) => void;
  readonly #isWatching: boolean;
  readonly #memoryLoss: LostMemory;
  readonly #polling = new BusyPoll();
  #queues: DeviceQueue[] = [];
  #seenCommands = 0;
  #seenRevocations = 0;
  /** Whether work was done since the last poll. */
  #didWork = false;
  #running = true;

  constructor(parts: {
    readonly device: Pick<VduseDevice, 'iotlbEntry'>;
    readonly interrupt: Interrupt;
    readonly plane: DataPlane<unknown>;
    /** An eventfd, signalled by kicks of the driver and by every command. */
    readonly kick: number;
    readonly commands: MessagePort;
    /** See {@link threadWord}. */
    readonly words: SharedArrayBuffer;
    readonly mappings: SharedMappings;
    readonly counters: SharedArrayBuffer;
    /** The log of each queue of the device; none if its chains are completed in order and its queues are split. */
    readonly logs: readonly InflightLog[];
    readonly watched: readonly Watched[];
    readonly guard: MemoryGuard | undefined;
    readonly notify: (notice: ThreadMessage) => void;
  }) {
    this.#plane = parts.plane;
    this.#transfers = parts.plane.transfers;
    this.#logs = parts.logs;
    this.#commands = parts.commands;
    this.#words = new Int32Array(parts.words);
    this.#counters = parts.counters;
    this.#iotlb = new Iotlb(parts.device, new MappingTable(parts.mappings));
    this.#owner = {
      memory: this.#iotlb,
      interrupt: parts.interrupt,
      isRevoked: this.#isRevoked,
      hasPendingCommand: this.#hasPendingCommand,
    };
    this.#notify = parts.notify;
    this.#memoryLoss = new LostMemory(parts.guard, parts.mappings.entries);
    this.#waiter = this.#transfers?.waiter ?? (this.#ownWaiter = new EpollWaiter());
    this.#waiter.watch(parts.kick, () => undefined);
    this.#isWatching = parts.watched.length > 0;
    for (const { fd, readable } of parts.watched) this.#waiter.watch(fd, readable);
  }

  /**
   * Runs until it receives the command to exit. Blocks the thread, except for a turn of its event loop after commands.
   */
  async run(): Promise<void> {
    while (this.#running) {
      if (this.#hasPendingCommand()) {
        this.#handleCommands();
        // Only the event loop frees views of memory that commands have invalidated.
        await setImmediate();
        continue;
      }
      try {
        this.#reap();
        if (this.#serveAll()) this.#pollWatched();
        else if (this.#transfers?.hasDone !== true && !this.#busyPoll() && !this.#enableKicks()) this.#sleep();
      } catch (error) {
        if (!(error instanceof MemoryRevokedError)) throw error;
        this.#dropMappings();
      }
    }
    this.#memoryLoss.end();
    this.#ownWaiter?.close();
  }

  /** Completes what is done of the chains in flight. */
  #reap(): void {
    const transfers = this.#transfers;
    if (transfers === undefined) return;
    try {
      if (!transfers.hasDone || !transfers.reap()) return;
      this.#didWork = true;
      Atomics.add(this.#words, threadWord.completions, 1);
    } finally {
      this.#reportTransfers(transfers);
    }
  }

  #reportTransfers({ count, pinned }: Transfers): void {
    Atomics.store(this.#words, threadWord.inFlight, count);
    Atomics.store(this.#words, threadWord.pinned, pinned && count > 0 ? 1 : 0);
  }

  /**
   * Waits until no chain is in flight. Memory that a transfer uses must not be unmapped before: something else may be
   * mapped there then.
   * @param cancel what takes long is cancelled if possible
   */
  #settle(cancel = false): void {
    const transfers = this.#transfers;
    if (transfers === undefined) return;
    let cancelAt = cancel ? monotonicMs() + CANCEL_AFTER_MS : undefined;
    while (transfers.count > 0) {
      try {
        this.#reap();
      } catch (error) {
        // What they have done is lost: these chains are begun again.
        if (!(error instanceof MemoryRevokedError)) throw error;
      }
      if (transfers.count === 0 || transfers.hasDone) continue;
      this.#waiter.wait(cancelAt === undefined ? -1 : Math.max(1, Math.ceil(cancelAt - monotonicMs())));
      if (cancelAt === undefined || monotonicMs() < cancelAt) continue;
      cancelAt = undefined;
      transfers.cancel();
    }
  }

  /** Serves each queue once, with kicks disabled. @returns true if there may be more work */
  #serveAll(): boolean {
    let more = false;
    for (const queue of this.#queues) {
      if (queue.broken) continue;
      try {
        if (this.#serve(queue)) more = true;
      } catch (error) {
        this.#handleError(queue, error);
      }
    }
    return more;
  }

  #serve(queue: DeviceQueue): boolean {
    if (!queue.map()) return false;
    const { ring } = queue;
    const before = ring.nextUsed;
    ring.disableKicks();
    Atomics.add(this.#words, threadWord.serving, 1);
    try {
      queue.served = this.#plane.serve(queue);
    } finally {
      Atomics.add(this.#words, threadWord.serving, 1);
      if (this.#transfers) this.#reportTransfers(this.#transfers);
    }
    if (ring.nextUsed !== before) this.#didWork = true;
    if (this.#memoryLoss.check()) this.#loseMemory(queue);
    return queue.served === MORE;
  }

  /** Polls for more work, if work was done and polling has been worthwhile recently. @returns true if there is more */
  #busyPoll(): boolean {
    if (!this.#didWork) return false;
    this.#didWork = false;
    // A disk takes longer than polling is worthwhile.
    if (this.#transfers !== undefined && this.#transfers.count > 0) return false;
    const spins = this.#polling.spins();
    for (let spin = 1; spin <= spins; spin++) {
      this.#polling.pause();
      if (!this.#hasMore()) continue;
      this.#polling.hit(spin);
      return true;
    }
    if (spins > 0) this.#polling.miss();
    return false;
  }

  #hasMore(): boolean {
    if (this.#hasPendingCommand() || this.#transfers?.hasDone === true) return true;
    for (const queue of this.#queues) {
      if (queue.usable && queue.served === WAIT && queue.ring.hasNew) return true;
    }
    return false;
  }

  /** Enables kicks again where they are useful. @returns true if more work has arrived in the meantime */
  #enableKicks(): boolean {
    let more = false;
    for (const queue of this.#queues) {
      if (!queue.usable || queue.served === QUIET) continue;
      try {
        if (queue.ring.enableKicks(queue.served === STARVED)) more = true;
      } catch (error) {
        this.#handleError(queue, error);
      }
    }
    return more;
  }

  /** The result for a queue that failed. @throws errors that the driver did not cause */
  #handleError(queue: DeviceQueue, error: unknown): void {
    if (!(error instanceof BrokenRingError)) throw error;
    // A ring that looks broken may be revoked memory.
    if (this.#isRevoked()) throw new MemoryRevokedError();
    if (this.#memoryLoss.check()) this.#loseMemory(queue);
    else this.#break(queue, error.message);
  }

  #break(queue: DeviceQueue, reason: string): void {
    queue.broken = true;
    queue.stop('broken');
    this.#notify({ type: 'broken', queue: queue.index, reason });
  }

  /**
   * The driver's memory ends before its mapping does: reads there returned zeros, and writes are lost.
   * @throws MemoryRevokedError if the memory was revoked instead
   */
  #loseMemory(queue: DeviceQueue): void {
    if (this.#isRevoked()) throw new MemoryRevokedError();
    this.#break(queue, 'memory that the driver has mapped was truncated');
    this.#settle();
    for (const other of this.#queues) other.unmap();
    this.#iotlb.clear();
  }

  #sleep(): void {
    if (this.#transfers?.hasDone === true) return;
    let pending = false;
    for (const queue of this.#queues) {
      if (queue.interruptPending) queue.interrupt();
      pending ||= queue.interruptPending;
    }
    this.#waiter.wait(pending ? RETRY_MS : -1);
    // The thread is awake, whatever has woken it.
    for (const queue of this.#queues) if (queue.usable) queue.ring.disableKicks();
  }

  /** Between two rounds of work: new commands do not wait until there is no work. */
  #pollWatched(): void {
    if (this.#isWatching) this.#waiter.wait(0);
  }

  readonly #isRevoked = (): boolean => Atomics.load(this.#words, threadWord.revocations) !== this.#seenRevocations;

  readonly #hasPendingCommand = (): boolean => Atomics.load(this.#words, threadWord.commands) !== this.#seenCommands;

  /** The mappings no longer map the driver's memory. The rings, mapped again, tell where to continue. */
  #dropMappings(): void {
    this.#settle();
    this.#seenRevocations = Atomics.load(this.#words, threadWord.revocations);
    // A copy that failed because of it counts as lost memory.
    this.#memoryLoss.check();
    for (const queue of this.#queues) queue.unmap();
    this.#iotlb.clear();
  }

  #handleCommands(): void {
    this.#seenCommands = Atomics.load(this.#words, threadWord.commands);
    for (;;) {
      const received = receiveMessageOnPort(this.#commands) as { readonly message: Command } | undefined;
      if (!received) return;
      const command = received.message;
      this.#execute(command);
      if ('ticket' in command) this.#notify({ type: 'done', ticket: command.ticket });
    }
  }

  #execute(command: Command): void {
    switch (command.type) {
      case 'start':
        this.#plane.start(command.features);
        for (const queue of command.queues) this.#addQueue(queue);
        break;
      case 'start-queue':
        this.#addQueue(command.queue);
        break;
      case 'stop':
        this.#settle(command.reset);
        // What is still in flight is not begun again, also in queues that were stopped before.
        if (command.reset) for (const log of this.#logs) log.clear();
        for (const queue of this.#queues) queue.stop('stopped');
        this.#queues = [];
        this.#dropMappings();
        break;
      case 'stop-queue':
        this.#settle();
        for (const queue of this.#queues) if (queue.index === command.queue) queue.stop('stopped');
        this.#queues = this.#queues.filter((queue) => queue.index !== command.queue);
        break;
      case 'invalidate':
        this.#settle();
        if (this.#isRevoked()) this.#dropMappings();
        for (const queue of this.#queues) queue.unmap();
        this.#iotlb.invalidate(command.start, command.last);
        break;
      case 'change':
        this.#plane.change?.(command.change);
        break;
      case 'exit':
        this.#settle(true);
        for (const queue of this.#queues) queue.stop('stopped');
        this.#queues = [];
        this.#iotlb.clear();
        this.#plane.close();
        this.#running = false;
        break;
    }
  }

  #addQueue(setup: QueueSetup): void {
    const counters = QueueCounters.at(this.#counters, setup.index);
    const queue = new DeviceQueue(setup, counters, this.#owner, this.#logs[setup.index]);
    this.#queues = [...this.#queues.filter((other) => other.index !== setup.index), queue];
  }
}
