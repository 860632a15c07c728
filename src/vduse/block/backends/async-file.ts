import { Errno } from '../../../sys/errno.js';
import * as file from '../../../sys/file.js';
import type { IoVector } from '../../../sys/io-vector.js';
import { lastErrno, retryInterrupted } from '../../../sys/libc.js';
import { NativeBuffer } from '../../../sys/memory.js';
import {
  CANCELLED,
  DISCARD,
  FLUSH,
  READ,
  WRITE,
  type BackendTransfers,
  type BlockBackend,
  type Operation,
} from '../backend.js';
import { BounceBuffers } from './bounce-buffers.js';
import type { Carrier } from './carrier.js';
import type { FlushFailure } from './flush-failure.js';
import { Job } from './job.js';

const ZEROS = 1024 * 1024;

/** The most bytes of a transfer that go through a bounce buffer at once. */
const MAX_PIECE = 1024 * 1024;

/** A file or a block device that is open. */
export interface OpenedFile {
  /** A descriptor of this thread alone: the kernel reports a loss of data once for each. The server closes it. */
  readonly fd: number;
  readonly size: number;
  /** For a block device: size of its logical block, in bytes. */
  readonly blockDevice: number | undefined;
  /** For direct transfers: the alignment of memory that they require, in bytes. */
  readonly direct: number | undefined;
}

/**
 * A disk in a file or on a block device. Its operations are in flight together: none waits for another, except that one
 * flush is in flight at a time and those that come meanwhile share the next.
 */
export class AsyncFileBackend implements BlockBackend {
  readonly transfers: BackendTransfers;
  readonly #fd: number;
  readonly #carrier: Carrier;
  readonly #blockDevice: number | undefined;
  readonly #direct: number | undefined;
  readonly #failure: FlushFailure;
  /** How many bytes of the file belong to the disk, or remain of it: accesses beyond fail. */
  #size: number;
  readonly #jobs: Job[] = [];
  readonly #freeJobs: Job[] = [];
  readonly #bounces = new BounceBuffers();
  /** Jobs that wait for a bounce buffer. */
  #waiting: Job[] = [];
  /** Operations that are done, to be given back. */
  readonly #finished: Operation[] = [];
  /** Flushes in flight together, and those that wait for the next. */
  #flushing: Operation[] = [];
  #nextFlush: Operation[] = [];
  #cancelling = false;
  #zeros: NativeBuffer | undefined;

  /**
   * @param carrier carries out the operations; this backend closes it
   * @param failure of flushes, of all threads
   */
  constructor(opened: OpenedFile, carrier: Carrier, failure: FlushFailure) {
    this.#fd = opened.fd;
    this.#size = opened.size;
    this.#blockDevice = opened.blockDevice;
    this.#direct = opened.direct;
    this.#carrier = carrier;
    this.#failure = failure;
    const hasDone = (): boolean => carrier.hasCompletions || this.#finished.length > 0;
    this.transfers = {
      pinned: opened.direct !== undefined,
      waiter: carrier.waiter,
      get hasDone() {
        return hasDone();
      },
      cancel: () => {
        this.#cancel();
      },
    };
  }

  resize(size: number): void {
    this.#size = size;
  }

  submit(operation: Operation, vector: IoVector): void {
    this.#cancelling = false;
    const { type, position, length } = operation;
    if (type === FLUSH) {
      this.#nextFlush.push(operation);
      if (this.#flushing.length === 0) this.#flush();
      return;
    }
    // A write must not extend the file; for reads, the file itself knows its end best.
    if (type !== READ && position + length > this.#size) {
      this.#finish(operation, Errno.EIO);
      return;
    }
    if (length === 0) {
      this.#finish(operation, 0);
      return;
    }
    const job = this.#job(operation);
    if (type === READ || type === WRITE) this.#transfer(job, operation, vector);
    else if (type === DISCARD) this.#discard(job, operation);
    else this.#allocate(job, operation);
  }

  reap(done: (operation: Operation) => void): void {
    this.#carrier.submit();
    this.#carrier.reap(this.#completed);
    for (const operation of this.#finished) done(operation);
    this.#finished.length = 0;
  }

  #job(operation: Operation): Job {
    let job = this.#freeJobs.pop();
    if (job === undefined) {
      job = new Job(this.#jobs.length);
      this.#jobs.push(job);
    }
    job.operation = operation;
    job.done = 0;
    return job;
  }

  #finish(operation: Operation, error: number): void {
    operation.error = error;
    this.#finished.push(operation);
  }

  /** The operation of a job is done. */
  #end(job: Job, error: number): void {
    const { operation, bounce } = job;
    job.operation = undefined;
    job.bounce = undefined;
    this.#freeJobs.push(job);
    if (operation !== undefined) this.#finish(operation, error);
    if (bounce === undefined) return;
    this.#bounces.give(bounce);
    const next = this.#waiting.shift();
    if (next?.operation) this.#bounce(next, next.operation);
  }

  /** An operation of the carrier is done. */
  readonly #completed = (tag: number, result: number): void => {
    const job = this.#jobs[tag];
    if (job?.operation === undefined) return;
    if (result === -Errno.ECANCELED || result === -Errno.EINTR || result === -Errno.EAGAIN) {
      if (this.#cancelling) this.#endStep(job, CANCELLED);
      else this.#again(job, job.operation);
      return;
    }
    if (result < 0) this.#endStep(job, -result);
    else this.#continue(job, job.operation, result);
  };

  /** Begins the current operation of a job once more. */
  #again(job: Job, operation: Operation): void {
    switch (job.step) {
      case 'transfer':
        this.#push(job, operation);
        break;
      case 'flush':
        this.#carrier.flush(job.tag);
        break;
      case 'discard':
        this.#discard(job, operation);
        break;
      case 'allocate':
        this.#allocate(job, operation);
        break;
      case 'zeros':
        this.#pushZeros(job, operation);
        break;
    }
  }

  /** An operation of the carrier has failed. */
  #endStep(job: Job, error: number): void {
    const { step, operation } = job;
    if (operation === undefined) return;
    if (step === 'flush') {
      this.#flushed(job, error);
    } else if (step === 'discard') {
      // There may be no discard at all, which is not an error: it is a hint.
      this.#end(job, error === Errno.EOPNOTSUPP ? 0 : error);
    } else if (step === 'allocate' && this.#isForHand(error)) {
      this.#pushZeros(job, operation);
    } else {
      this.#end(job, error);
    }
  }

  /** An operation of the carrier has succeeded. @param result the bytes of a transfer */
  #continue(job: Job, operation: Operation, result: number): void {
    switch (job.step) {
      case 'transfer':
        this.#moved(job, operation, result);
        break;
      case 'zeros':
        job.done += result;
        if (result === 0) this.#end(job, Errno.ENOSPC);
        else if (job.done < operation.length) this.#pushZeros(job, operation);
        else this.#end(job, 0);
        break;
      case 'flush':
        this.#flushed(job, 0);
        break;
      case 'discard':
      case 'allocate':
        this.#end(job, 0);
        break;
    }
  }

  #transfer(job: Job, operation: Operation, vector: IoVector): void {
    const { first, count } = operation;
    job.step = 'transfer';
    job.use(vector, first, count);
    if (this.#direct === undefined || isAligned(vector, first, count, this.#direct)) this.#push(job, operation);
    else this.#bounce(job, operation);
  }

  /** Begins what is left of a transfer. */
  #push(job: Job, operation: Operation): void {
    const writing = operation.type === WRITE;
    const position = operation.position + job.done;
    if (job.entries === 1) {
      this.#carrier.transfer(writing, position, job.address, job.length, job.tag);
      return;
    }
    const entries = Math.min(job.entries, file.IOV_MAX);
    this.#carrier.transferVector(writing, position, job.vector?.at(job.first) ?? 0, entries, job.tag);
  }

  /** A transfer has moved bytes, perhaps not all. */
  #moved(job: Job, operation: Operation, count: number): void {
    const { bounce } = job;
    if (bounce && operation.type === READ && !job.copyPiece(READ, count)) {
      this.#end(job, Errno.EFAULT);
      return;
    }
    job.done += count;
    if (job.done === operation.length) {
      this.#end(job, 0);
    } else if (count === 0) {
      // For a read, this is the end of the file; for a write, the disk is full.
      this.#end(job, operation.type === WRITE ? Errno.ENOSPC : Errno.EIO);
    } else if (bounce) {
      this.#pushPiece(job, operation);
    } else {
      job.skip(count);
      this.#push(job, operation);
    }
  }

  /** Transfers through aligned memory, once there is some. */
  #bounce(job: Job, operation: Operation): void {
    const bounce = this.#bounces.take(Math.min(operation.length, MAX_PIECE));
    if (bounce === undefined) {
      this.#waiting.push(job);
      return;
    }
    job.useBounce(bounce);
    this.#pushPiece(job, operation);
  }

  /** Begins the next piece of such a transfer. */
  #pushPiece(job: Job, operation: Operation): void {
    job.length = Math.min(MAX_PIECE, operation.length - job.done);
    if (operation.type === WRITE && !job.copyPiece(WRITE, job.length)) this.#end(job, Errno.EFAULT);
    else this.#push(job, operation);
  }

  /** Begins a flush for all operations that wait for one. */
  #flush(): void {
    const operations = this.#nextFlush;
    const [first] = operations;
    if (first === undefined) return;
    this.#nextFlush = this.#flushing;
    if (this.#failure.hasFailed) {
      for (const operation of operations) this.#finish(operation, Errno.EIO);
      operations.length = 0;
      this.#flushing = operations;
      return;
    }
    this.#flushing = operations;
    const job = this.#job(first);
    job.step = 'flush';
    this.#carrier.flush(job.tag);
  }

  #flushed(job: Job, error: number): void {
    if (error > 0) this.#failure.set(error);
    // Another thread may have been told of the loss meanwhile.
    const result = error === 0 && this.#failure.hasFailed ? Errno.EIO : error;
    for (const operation of this.#flushing) this.#finish(operation, result);
    this.#flushing.length = 0;
    job.operation = undefined;
    this.#freeJobs.push(job);
    this.#flush();
  }

  #discard(job: Job, operation: Operation): void {
    job.step = 'discard';
    const { position, length } = operation;
    const block = this.#blockDevice;
    if (block === undefined) {
      this.#fallocate(job, file.FALLOC_FL_PUNCH_HOLE, position, length);
      return;
    }
    // If the driver has smaller blocks than the disk, partial blocks are kept.
    const start = Math.ceil(position / block) * block;
    const size = Math.floor((position + length) / block) * block - start;
    if (size <= 0) {
      this.#end(job, 0);
      return;
    }
    this.#carrier.discard(start, size, job.tag);
  }

  #allocate(job: Job, { unmap, position, length }: Operation): void {
    job.step = 'allocate';
    this.#fallocate(job, unmap ? file.FALLOC_FL_PUNCH_HOLE : file.FALLOC_FL_ZERO_RANGE, position, length);
  }

  #fallocate({ tag }: Job, mode: number, position: number, length: number): void {
    this.#carrier.allocate(mode | file.FALLOC_FL_KEEP_SIZE, position, length, tag);
  }

  /** Whether zeros must be written. EINVAL: a block device supports it for whole blocks only. */
  #isForHand(error: number): boolean {
    return error === Errno.EOPNOTSUPP || (error === Errno.EINVAL && this.#blockDevice !== undefined);
  }

  #pushZeros(job: Job, operation: Operation): void {
    job.step = 'zeros';
    const { address } = (this.#zeros ??= new NativeBuffer(ZEROS));
    const length = Math.min(ZEROS, operation.length - job.done);
    this.#carrier.transfer(true, operation.position + job.done, address, length, job.tag);
  }

  #cancel(): void {
    this.#cancelling = true;
    for (const job of this.#waiting) this.#end(job, CANCELLED);
    this.#waiting = [];
    for (const operation of this.#nextFlush) this.#finish(operation, CANCELLED);
    this.#nextFlush.length = 0;
    this.#carrier.cancel();
  }

  close(): void {
    if (retryInterrupted(() => file.fdatasync(this.#fd)) !== 0) this.#failure.set(lastErrno());
    this.#carrier.close();
    this.#bounces.close();
    this.#zeros?.free();
    for (const { vector } of this.#jobs) vector?.free();
  }
}

/** Whether all memory of a transfer has the alignment that direct transfers require. */
function isAligned(vector: IoVector, first: number, count: number, alignment: number): boolean {
  for (let entry = first; entry < first + count; entry++) {
    if (vector.base(entry) % alignment !== 0 || vector.length(entry) % alignment !== 0) return false;
  }
  return true;
}
