import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { IoVector } from '../../src/sys/io-vector.js';
import { NativeBuffer } from '../../src/sys/memory.js';
import type { Operation } from '../../src/vduse/block/backend.js';
import { FlushFailure } from '../../src/vduse/block/backends/flush-failure.js';
import { NbdBackend } from '../../src/vduse/block/backends/nbd.js';
import { NbdConnections, type ConnectionOptions } from '../../src/vduse/block/nbd/connections.js';

/** An operation; its data is `length` bytes of {@link NbdDisk.memory} from `from` on, in pieces. */
export interface Action extends Pick<Operation, 'type'>, Partial<Pick<Operation, 'position' | 'length' | 'unmap'>> {
  readonly from?: number;
  readonly piece?: number;
}

/** A disk on an NBD server, used as the first data thread of a device uses it, but without blocking this thread. */
export class NbdDisk {
  readonly connections: NbdConnections;
  readonly backend: NbdBackend;
  /** In place of the driver's memory. */
  readonly memory = new NativeBuffer(64 * 2 ** 20);
  readonly #vector = new IoVector(16384);
  readonly #done = new Set<Operation>();

  static async open(uri: string, options: Partial<ConnectionOptions> & { readonly writesThrough?: boolean } = {}) {
    const connections = await NbdConnections.open({ uri, threads: 1, reconnect: 30, takeOver: false, ...options });
    return new NbdDisk(connections, options.writesThrough === true);
  }

  private constructor(connections: NbdConnections, writesThrough: boolean) {
    this.connections = connections;
    const [link] = connections.links;
    if (link === undefined) throw new Error('no connection');
    const failure = new FlushFailure(new Int32Array(new SharedArrayBuffer(64)), undefined);
    this.backend = new NbdBackend(link, connections.export, writesThrough, failure);
  }

  /** Begins operations. */
  begin(...actions: readonly Action[]): Operation[] {
    this.#vector.count = 0;
    return actions.map(({ type, position = 0, length = 0, unmap = false, from, piece = length }) => {
      const first = this.#vector.count;
      for (let at = 0; from !== undefined && at < length; at += piece) {
        this.#vector.push(this.memory.address + from + at, Math.min(piece, length - at));
      }
      const operation = { type, position, length, unmap, first, count: this.#vector.count - first, error: 0 };
      this.backend.submit(operation, this.#vector);
      return operation;
    });
  }

  /** What the thread does when it is awake. */
  step(): void {
    this.backend.transfers.waiter.wait(0);
    this.backend.reap((operation) => void this.#done.add(operation));
  }

  /** Waits until all are done. */
  async finish(operations: readonly Operation[], limitMs = 60_000): Promise<number[]> {
    const deadline = performance.now() + limitMs;
    for (let idle = 0; !operations.every((operation) => this.#done.has(operation)); idle++) {
      if (performance.now() > deadline) throw new Error('the operations are not done in time');
      const before = this.#done.size;
      this.step();
      if (this.#done.size !== before) idle = 0;
      await (idle < 100 ? setImmediate() : sleep(1));
    }
    for (const operation of operations) this.#done.delete(operation);
    return operations.map(({ error }) => error);
  }

  /** Waits until one of them is done. @returns those that are */
  async finishAny(operations: readonly Operation[], limitMs = 60_000): Promise<ReadonlySet<Operation>> {
    const deadline = performance.now() + limitMs;
    for (let idle = 0; ; idle++) {
      if (performance.now() > deadline) throw new Error('no operation is done in time');
      this.step();
      const finished = new Set(operations.filter((operation) => this.#done.delete(operation)));
      await (idle < 100 ? setImmediate() : sleep(1));
      if (finished.size > 0 || operations.length === 0) return finished;
    }
  }

  /** Carries out operations together. @returns the error number of each */
  do(...actions: readonly Action[]): Promise<number[]> {
    return this.finish(this.begin(...actions));
  }

  /** Waits for a state of the connections. */
  async reaches(state: string, limitMs = 30_000): Promise<void> {
    const deadline = performance.now() + limitMs;
    while (this.connections.status.state !== state) {
      if (performance.now() > deadline) throw new Error(`${JSON.stringify(this.connections.status)}, not ${state}`);
      this.step();
      await sleep(1);
    }
  }

  async close(): Promise<boolean> {
    this.backend.close();
    const closed = await this.connections.close();
    this.#vector.free();
    this.memory.free();
    return closed;
  }
}
