/** Stores the data of a block device. It accesses guest memory by address: JavaScript never sees the data. */
import { Errno } from '../../sys/errno.js';
import { copyMemory } from '../../sys/guarded-copy.js';
import type { IoVector } from '../../sys/io-vector.js';
import { NativeBuffer } from '../../sys/memory.js';
import type { Transfers } from '../engine/data-plane.js';
import { BackendError } from '../error.js';

export const READ = 0;
export const WRITE = 1;
export const FLUSH = 2;
export const DISCARD = 3;
export const WRITE_ZEROES = 4;

/** The types of operations, for programs. */
export const OperationType = { READ, WRITE, FLUSH, DISCARD, WRITE_ZEROES } as const;

/** The type of an operation. */
export type OperationType = (typeof OperationType)[keyof typeof OperationType];

/** One operation. The object is reused for others once it is done. */
export interface Operation {
  readonly type: OperationType;
  /** Offset from the start of the device, in bytes; within the device, with `length`. */
  readonly position: number;
  /** Bytes. */
  readonly length: number;
  /** READ, WRITE: the entries of the vector to read into or to write from. */
  readonly first: number;
  readonly count: number;
  /** WRITE_ZEROES: space may be deallocated. */
  readonly unmap: boolean;
  /**
   * Set by the backend: 0, or an error number. EOPNOTSUPP reports the operation as unsupported to the driver, and
   * CANCELLED leaves the request to the next server.
   */
  error: number;
}

/** The error of an operation that was cancelled, and may have been carried out in part. */
export const CANCELLED = -1;

/** Stores the data of a block device; one for each data thread. */
export interface BlockBackend {
  /**
   * Takes an operation, which begins during the next {@link reap} at the latest, or when the thread is about to sleep.
   * @param vector its entries; valid until the next {@link reap} returns, or with {@link transfers} until this returns
   */
  submit(operation: Operation, vector: IoVector): void;

  /**
   * Begins the operations that were submitted, and passes operations that are done to `done`, in any order. `done` may
   * submit others.
   */
  reap(done: (operation: Operation) => void): void;

  /** For a backend whose operations may not be done when {@link reap} returns. */
  readonly transfers?: BackendTransfers;

  /** The size of the device is now `size` bytes. */
  resize?(size: number): void;

  /** Makes all data durable and closes open files. Nothing is in flight. */
  close(): void;
}

/** The operations in flight of a backend. */
export type BackendTransfers = Pick<Transfers, 'pinned' | 'hasDone' | 'waiter' | 'cancel'>;

/** A backend that carries out each operation when it is submitted. */
export abstract class ImmediateBackend implements BlockBackend {
  readonly #done: Operation[] = [];

  /** @returns 0, or an error number */
  protected abstract execute(operation: Operation, vector: IoVector): number;

  abstract close(): void;

  submit(operation: Operation, vector: IoVector): void {
    operation.error = this.execute(operation, vector);
    this.#done.push(operation);
  }

  reap(done: (operation: Operation) => void): void {
    for (const operation of this.#done) done(operation);
    this.#done.length = 0;
  }
}

/** Maximum number of bytes passed to a {@link SimpleBlockBackend} in one call. */
const PIECE = 64 * 1024;

/**
 * A backend of simple functions, for data that JavaScript produces or consumes. The data is copied once. The functions
 * throw {@link BackendError} for an operation that fails; any other error ends the server.
 */
export abstract class SimpleBlockBackend extends ImmediateBackend {
  readonly #scratch = new NativeBuffer(PIECE);

  /** Fills `target` with the data at `position`; a request may take several calls. @throws BackendError */
  abstract read(position: number, target: Uint8Array): void;

  /** Stores `source` at `position`. Without it, writes fail. @throws BackendError */
  write?(position: number, source: Uint8Array): void;

  /** Makes written data durable. @throws BackendError */
  flush?(): void;

  override close(): void {
    this.flush?.();
  }

  protected override execute(operation: Operation, vector: IoVector): number {
    try {
      return this.#one(operation, vector);
    } catch (error) {
      if (error instanceof BackendError) return error.errno;
      throw error;
    }
  }

  #one(operation: Operation, vector: IoVector): number {
    switch (operation.type) {
      case READ:
      case WRITE:
        return this.#transfer(operation, vector);
      case FLUSH:
        this.flush?.();
        return 0;
      case DISCARD:
      case WRITE_ZEROES:
        return Errno.EOPNOTSUPP;
    }
  }

  #transfer({ type, position, first, count }: Operation, vector: IoVector): number {
    let at = position;
    for (let entry = first; entry < first + count; entry++) {
      const end = at + vector.length(entry);
      for (let address = vector.base(entry); at < end;) {
        const length = Math.min(PIECE, end - at);
        if (type === READ) this.#read(at, address, length);
        else this.#write(at, address, length);
        at += length;
        address += length;
      }
    }
    return 0;
  }

  #read(position: number, address: number, length: number): void {
    this.read(position, this.#scratch.u8.subarray(0, length));
    if (!copyMemory(address, this.#scratch.address, length)) throw new BackendError('EFAULT');
  }

  #write(position: number, address: number, length: number): void {
    if (!this.write) throw new BackendError('EROFS');
    if (!copyMemory(this.#scratch.address, address, length)) throw new BackendError('EFAULT');
    this.write(position, this.#scratch.u8.subarray(0, length));
  }
}
