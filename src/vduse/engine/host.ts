import { EventEmitter } from 'node:events';
import { MessageChannel, SHARE_ENV, Worker, type MessagePort } from 'node:worker_threads';
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
import { moduleUrl } from './module-url.js';

/**
 * Time limit for a data thread to execute a command. The kernel gives up a device that does not answer for 30 seconds.
 */
const REPLY_TIMEOUT_MS = 10_000;

/** Time limit when the device ends, which includes writing its data. */
const EXIT_TIMEOUT_MS = 60_000;

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
  readonly device: Pick<VduseDevice, 'fd' | 'apiVersion' | 'setKick'>;
  readonly counters: SharedArrayBuffer;
  readonly module: DataPlaneModule;
  readonly queueCount: number;
  readonly queueSize: number;
  readonly threads: number;
  /** Number of consecutive queues that the same thread serves. */
  readonly queueGroup: number;
}

/** A data thread as the main thread sees it. */
class ThreadHandle {
  readonly kick = openEventfd();
  readonly worker: Worker;
  readonly #port: MessagePort;
  readonly #words = new Int32Array(new SharedArrayBuffer(threadWord.length * 4));
  readonly #mappings: MappingTable;
  readonly #waiting = new Map<number, () => void>();
  #progress = { serving: 0, at: monotonicMs() };
  #ticket = 0;
  #exited = false;
  /** It has not executed a command in time, and still has not. */
  #overdue = false;

  /** @throws errors of starting a thread, which a data plane causes whose options cannot be passed to one */
  constructor(options: HostOptions, queues: readonly number[], shared: SharedArrayBuffer) {
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
        queues,
        kick: this.kick,
        commands: port2,
        words: this.#words.buffer,
        mappings: mappings.shared,
        counters: options.counters,
        shared,
        guard: installMemoryGuard(),
      };
      this.worker = new Worker(new URL(moduleUrl('data-thread')), {
        workerData: start,
        transferList: [port2],
        env: SHARE_ENV,
        trackUnmanagedFds: false,
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
      const timer = setTimeout(settle, timeoutMs, false);
      this.#waiting.set(ticket, () => {
        settle(true);
      });
      this.send({ ...command, ticket });
    });
  }

  /** Checks whether it still serves the same queue as the last time. @returns for how long, in milliseconds */
  serviceTimeMs(): number {
    const serving = Atomics.load(this.#words, threadWord.serving);
    if (serving % 2 === 0 || serving !== this.#progress.serving) this.#progress = { serving, at: monotonicMs() };
    return monotonicMs() - this.#progress.at;
  }

  /**
   * Revokes guest memory from a thread that does not respond: its further reads and writes go to memory that does not
   * matter.
   */
  revoke(): void {
    Atomics.add(this.#words, threadWord.revocations, 1);
    this.#mappings.revokeAll();
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
        host.#threads.push(new ThreadHandle(options, own, shared));
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

  /** Stops all queues. When this returns, guest memory is no longer accessed. */
  async stop(): Promise<void> {
    await this.#callAll({ type: 'stop' });
  }

  /** Stops one queue. */
  async stopQueue(queue: number): Promise<void> {
    const thread = this.#threadOf(queue);
    if (!(await thread.call({ type: 'stop-queue', queue }))) thread.revoke();
  }

  /** Drops the mappings in [start, last]. When this returns, they are no longer used. */
  async invalidate(start: bigint, last: bigint): Promise<void> {
    await this.#callAll({ type: 'invalidate', start, last });
  }

  async #callAll(command: WithoutTicket<Ticketed>): Promise<void> {
    await Promise.all(
      this.#threads.map(async (thread) => {
        if (!(await thread.call(command))) thread.revoke();
      }),
    );
  }

  /** How long a thread has been busy with the same work, in milliseconds, as of the last check. */
  serviceTimeMs(): number {
    return Math.max(...this.#threads.map((thread) => thread.serviceTimeMs()));
  }

  change(change: unknown): void {
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
