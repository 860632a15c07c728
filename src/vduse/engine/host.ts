import { EventEmitter } from 'node:events';
import { availableParallelism } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads';
import { monotonicMs } from '../../sys/clock.js';
import { openEventfd, signalEventfd } from '../../sys/events.js';
import { close } from '../../sys/libc.js';
import { installMemoryGuard } from '../../sys/memory-guard.js';
import { VduseError } from '../error.js';
import type { DataPlaneModule } from './data-plane.js';
import { threadWord, type Command, type ThreadMessage } from './thread.js';
import type { VduseDevice } from '../kernel/device.js';
import type { QueueSetup } from './queue.js';
import { MappingTable } from './mappings.js';
import type { DataThreadOptions } from './thread-entry.js';
import { startThread } from './start-thread.js';

/**
 * Time limit for a data thread to execute a command. The kernel gives up a device that does not answer for 30 seconds.
 */
const REPLY_TIMEOUT_MS = 10_000;

/** Time limit when the device ends, which includes writing its data. */
const EXIT_TIMEOUT_MS = 60_000;

/** Interval for checking whether the kernel still accesses the memory of a thread that does not respond. */
const PIN_CHECK_MS = 20;

/**
 * MiB of the young generation of a data thread. What it allocates for a request is little and short-lived: with Node's
 * own limit, a thread under load peaks 6 MiB higher, and is not faster.
 */
const YOUNG_GENERATION_MB = 2;

/** Words shared by the data planes of a device; see DataPlaneContext. */
const SHARED_WORDS = 16;

type Ticketed = Extract<Command, { ticket: number }>;
type WithoutTicket<Type> = Type extends unknown ? Omit<Type, 'ticket'> : never;

interface HostEvents {
  broken: [queue: number, reason: string];
  error: [Error];
}

/** Options of the data threads of a device. */
export interface HostOptions {
  readonly device: Pick<VduseDevice, 'fd' | 'apiVersion' | 'setKick' | 'isBroken'>;
  readonly counters: SharedArrayBuffer;
  readonly module: DataPlaneModule;
  readonly queueCount: number;
  readonly queueSize: number;
  /** Whether the driver may make its queues packed. */
  readonly packed: boolean;
  readonly threads: number;
  /** Number of consecutive queues that the same thread serves. */
  readonly queueGroup: number;
  /** The processors of the threads: see {@link processorOf}. */
  readonly cpus: readonly number[] | undefined;
  /** The descriptor of an InflightFile. */
  readonly inflight: number | undefined;
}

/**
 * How many data threads a device has.
 * @param queues its queues, or the groups of queues that a thread serves as a whole
 */
export function threadCount(
  { threads, cpus }: { readonly threads?: number; readonly cpus?: readonly number[] },
  queues: number,
): number {
  return Math.min(threads ?? cpus?.length ?? availableParallelism(), queues);
}

/** The processor of a thread; undefined for any. */
function processorOf(thread: number, cpus: readonly number[] | undefined): number | undefined {
  return cpus?.[thread % cpus.length];
}

/** A data thread as the main thread sees it. */
class ThreadHandle {
  readonly kick = openEventfd();
  readonly worker: Worker;
  readonly #port: MessagePort;
  readonly #words = new Int32Array(new SharedArrayBuffer(threadWord.length * 4));
  readonly #mappings: MappingTable;
  readonly #waiting = new Map<number, () => void>();
  #progress = { at: 0, since: monotonicMs() };
  #ticket = 0;
  #exited = false;
  /** It has not executed a command in time, and still has not. */
  #overdue = false;

  /** @throws errors of starting a thread, which a data plane causes whose options cannot be passed to one */
  constructor(options: HostOptions, index: number, queues: readonly number[], shared: SharedArrayBuffer) {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    port1.unref();
    let mappings: MappingTable | undefined;
    try {
      mappings = MappingTable.allocate();
      const start: DataThreadOptions = {
        module: options.module.module,
        options: options.module.options,
        deviceFd: options.device.fd,
        apiVersion: options.device.apiVersion,
        queueCount: options.queueCount,
        queueSize: options.queueSize,
        packed: options.packed,
        queues,
        kick: this.kick,
        commands: port2,
        words: this.#words.buffer,
        mappings: mappings.shared,
        counters: options.counters,
        shared,
        inflight: options.inflight,
        guard: installMemoryGuard(),
        processor: processorOf(index, options.cpus),
      };
      this.worker = startThread('data-thread', {
        workerData: start,
        transferList: [port2],
        resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
      });
    } catch (error) {
      port1.close();
      mappings?.free();
      close(this.kick);
      throw error;
    }
    this.#mappings = mappings;
    this.worker.once('exit', () => {
      this.#exited = true;
      for (const settle of this.#waiting.values()) settle();
    });
  }

  /** Resolves the promise of a command. */
  done(ticket: number): void {
    this.#overdue = false;
    this.#waiting.get(ticket)?.();
  }

  send(command: Command): void {
    this.#port.postMessage(command);
    Atomics.add(this.#words, threadWord.commands, 1);
    signalEventfd(this.kick);
  }

  /**
   * Sends a command and waits until it is done.
   * @returns false if the thread did not execute it in time; a thread that has ended has nothing left to do
   */
  async call(command: WithoutTicket<Ticketed>, timeoutMs = REPLY_TIMEOUT_MS): Promise<boolean> {
    if (this.#exited) return true;
    const ticket = ++this.#ticket;
    if (this.#overdue) {
      // The caller has already waited for it once.
      this.send({ ...command, ticket });
      return false;
    }
    return new Promise<boolean>((resolve) => {
      const settle = (done: boolean): void => {
        clearTimeout(timer);
        this.#waiting.delete(ticket);
        this.#overdue ||= !done;
        resolve(done);
      };
      const timer = globalThis.setTimeout(settle, timeoutMs, false);
      this.#waiting.set(ticket, () => {
        settle(true);
      });
      this.send({ ...command, ticket });
    });
  }

  /** Checks whether it has made progress since the last time. @returns for how long not, in milliseconds */
  serviceTimeMs(): number {
    const word = (index: number): number => Atomics.load(this.#words, index);
    const serving = word(threadWord.serving);
    const isBusy = serving % 2 === 1 || word(threadWord.inFlight) > 0;
    const at = serving + word(threadWord.completions);
    if (!isBusy || at !== this.#progress.at) this.#progress = { at, since: monotonicMs() };
    return monotonicMs() - this.#progress.since;
  }

  /**
   * Revokes guest memory from a thread that does not respond: its further reads and writes go to memory that does not
   * matter.
   * @returns false if it has begun a transfer before, for which the kernel has pinned memory
   */
  revoke(): boolean {
    Atomics.add(this.#words, threadWord.revocations, 1);
    this.#mappings.revokeAll();
    return !this.isPinned;
  }

  /** Whether a command was not executed in time, and still was not. */
  get isOverdue(): boolean {
    return !this.#exited && this.#overdue;
  }

  /** Whether the kernel may access guest memory even if it is revoked. */
  get isPinned(): boolean {
    return !this.#exited && Atomics.load(this.#words, threadWord.pinned) !== 0;
  }

  close(): void {
    this.#port.close();
    this.#mappings.free();
    close(this.kick);
  }
}

/** The data threads of a device, for its server in the main thread. */
export class DataPlaneHost extends EventEmitter<HostEvents> {
  readonly #device: HostOptions['device'];
  readonly #queueGroup: number;
  readonly #threads: ThreadHandle[] = [];
  #ended = false;
  #abandoned = false;
  /** Whether a thread has not ended on command. */
  stuck = false;

  /** Starts the threads and waits until their data planes are created. @throws errors of creating one */
  static async start(options: HostOptions): Promise<DataPlaneHost> {
    const shared = new SharedArrayBuffer(SHARED_WORDS * 4);
    const indices = Array.from({ length: options.queueCount }, (_, index) => index);
    const host = new DataPlaneHost(options.device, options.queueGroup);
    try {
      for (let thread = 0; thread < options.threads; thread++) {
        const own = indices.filter((index) => Math.floor(index / options.queueGroup) % options.threads === thread);
        host.#threads.push(new ThreadHandle(options, thread, own, shared));
      }
      await Promise.all(host.#threads.map((thread) => host.#ready(thread)));
    } catch (error) {
      await host.exit();
      throw error;
    }
    return host;
  }

  private constructor(device: HostOptions['device'], queueGroup: number) {
    super();
    this.#queueGroup = queueGroup;
    this.#device = device;
  }

  /**
   * Resolves when the data plane of a thread is created. From then on, the end of the thread is an error of the host,
   * unless the host ends it.
   */
  #ready(thread: ThreadHandle): Promise<void> {
    const { worker } = thread;
    return new Promise((resolve, reject) => {
      let isReady = false;
      let failure: Error | undefined;
      const fail = (error: Error): void => {
        failure = error;
        if (isReady) this.emit('error', error);
        else reject(error);
      };
      worker.once('error', fail);
      worker.once('exit', (code) => {
        // A thread that fails exits as well.
        if (failure || this.#ended) return;
        fail(new VduseError(`A data thread exited with code ${code}${isReady ? '' : ' before it was ready'}`));
      });
      worker.on('message', (notice: ThreadMessage) => {
        if (notice.type === 'done') thread.done(notice.ticket);
        if (notice.type === 'broken') this.emit('broken', notice.queue, notice.reason);
        if (notice.type !== 'ready') return;
        isReady = true;
        resolve();
      });
    });
  }

  #threadOf(queue: number): ThreadHandle {
    const thread = this.#threads[Math.floor(queue / this.#queueGroup) % this.#threads.length];
    if (!thread) throw new RangeError(`queue ${queue} has no thread`);
    return thread;
  }

  /**
   * Starts to serve queues. The kernel has forgotten the eventfds since they were last used, so they are set up again.
   */
  run(features: bigint, queues: readonly QueueSetup[]): void {
    for (const thread of this.#threads) {
      const own = queues.filter(({ index }) => this.#threadOf(index) === thread);
      thread.send({ type: 'start', features, queues: own });
      for (const { index } of own) this.#device.setKick(index, thread.kick);
    }
  }

  /** Starts to serve one more queue. */
  runQueue(queue: QueueSetup): void {
    const thread = this.#threadOf(queue.index);
    thread.send({ type: 'start-queue', queue });
    this.#device.setKick(queue.index, thread.kick);
  }

  /**
   * Stops all queues. The methods that stop access to guest memory return whether it is no longer accessed. They wait
   * as long as that takes, unless the kernel gives up the device, or the host is ended: if the device answered the
   * driver before, the driver would use the memory for something else.
   * @param reset the driver does not wait for its requests any longer
   */
  async stop({ reset = false } = {}): Promise<boolean> {
    return this.#callAll({ type: 'stop', reset });
  }

  /** Stops one queue. */
  async stopQueue(queue: number): Promise<boolean> {
    return this.#stopAccess(this.#threadOf(queue), { type: 'stop-queue', queue });
  }

  /** Drops the mappings in [start, last]. */
  async invalidate(start: bigint, last: bigint): Promise<boolean> {
    return this.#callAll({ type: 'invalidate', start, last });
  }

  async #callAll(command: WithoutTicket<Ticketed>): Promise<boolean> {
    const stopped = await Promise.all(this.#threads.map((thread) => this.#stopAccess(thread, command)));
    return stopped.every((each) => each);
  }

  /** A thread that does not respond loses its memory, unless the kernel has pinned it: then only waiting helps. */
  async #stopAccess(thread: ThreadHandle, command: WithoutTicket<Ticketed>): Promise<boolean> {
    if (await thread.call(command)) return true;
    while (thread.isOverdue) {
      if (!thread.isPinned && thread.revoke()) return true;
      if (this.#abandoned || this.#device.isBroken()) {
        thread.revoke();
        return false;
      }
      await setTimeout(PIN_CHECK_MS);
    }
    return true;
  }

  /** The server ends: what does not stop is not waited for any longer. */
  abandon(): void {
    this.#abandoned = true;
  }

  /** How long a thread has been busy with the same work, in milliseconds, as of the last check. */
  serviceTimeMs(): number {
    return Math.max(...this.#threads.map((thread) => thread.serviceTimeMs()));
  }

  /** Sends every data plane a change; once they end, nobody needs it. */
  change(change: unknown): void {
    if (this.#ended) return;
    for (const thread of this.#threads) thread.send({ type: 'change', change });
  }

  /** Ends the threads: each completes its requests and closes its data plane. */
  async exit(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await Promise.all(
      this.#threads.map(async (thread) => {
        if (await thread.call({ type: 'exit' }, EXIT_TIMEOUT_MS)) {
          await thread.worker.terminate();
          thread.close();
        } else {
          thread.revoke();
          this.stuck = true;
        }
      }),
    );
  }
}
