import { IOCB_CMD_PREADV, IOCB_CMD_PWRITEV, TransferBatch } from '../../../sys/aio.js';
import { Errno } from '../../../sys/errno.js';
import * as file from '../../../sys/file.js';
import { io, ioctlNumber } from '../../../sys/ioctl.js';
import { IoVector } from '../../../sys/io-vector.js';
import { lastErrno, retryInterrupted } from '../../../sys/libc.js';
import { NativeBuffer, writeAddress } from '../../../sys/memory.js';
import { DISCARD, FLUSH, READ, WRITE, WRITE_ZEROES, type BlockBackend, type Operation } from '../backend.js';
import type { FlushFailure } from './flush-failure.js';

/** Maximum number of bytes that one call transfers (MAX_RW_COUNT). */
const MAX_BYTES = 0x7fff_f000;

const ZEROS = 64 * 1024;

/** From linux/fs.h: discards a range of a block device; two u64, in bytes. */
const BLKDISCARD = io(0x12, 119);

/** The word of the flush lock, which the threads of a device share; see also FlushFailure. */
const FLUSHING = 1;

/** Maximum number of transfers in one system call; the rest of a batch follows in the next. */
const MAX_TRANSFERS = 128;

/** Operations of a batch that are adjacent on the disk and in the vector: one transfer. */
interface Run {
  type: typeof READ | typeof WRITE;
  /** Its operations: from this one up to, but not including, `after`. */
  index: number;
  after: number;
  position: number;
  length: number;
  first: number;
  count: number;
}

/**
 * A disk in a file or on a block device. Adjacent requests of a batch form one transfer, and the transfers of a batch
 * go in one system call, if the kernel supports it.
 */
export class FileBackend implements BlockBackend {
  readonly #fd: number;
  /** For a block device: size of its logical block, in bytes. */
  readonly #blockDevice: number | undefined;
  /** The range of BLKDISCARD: two u64. */
  readonly #range = new NativeBuffer(16);
  readonly #shared: Int32Array;
  readonly #failure: FlushFailure;
  /** How many bytes of the file belong to the disk, or remain of it: accesses beyond fail. */
  #size: number;
  #zeros: NativeBuffer | undefined;
  readonly #rest = new IoVector(file.IOV_MAX);
  /** The vector of the operations submitted. */
  #vector = this.#rest;
  #submitted: Operation[] = [];
  #spare: Operation[] = [];
  readonly #batch = TransferBatch.open(MAX_TRANSFERS);
  readonly #runs = Array.from({ length: MAX_TRANSFERS }, (): Run => ({
    type: READ,
    index: 0,
    after: 0,
    position: 0,
    length: 0,
    first: 0,
    count: 0,
  }));

  /**
   * @param opened its descriptor stays open until the server closes it
   * @param shared words that the data threads of the device share
   */
  constructor(
    opened: { readonly fd: number; readonly size: number; readonly blockDevice: number | undefined },
    shared: Int32Array,
    failure: FlushFailure,
  ) {
    this.#fd = opened.fd;
    this.#size = opened.size;
    this.#blockDevice = opened.blockDevice;
    this.#shared = shared;
    this.#failure = failure;
  }

  resize(size: number): void {
    this.#size = size;
  }

  submit(operation: Operation, vector: IoVector): void {
    this.#vector = vector;
    this.#submitted.push(operation);
  }

  reap(done: (operation: Operation) => void): void {
    while (this.#submitted.length > 0) {
      const operations = this.#submitted;
      this.#submitted = this.#spare;
      this.#spare = operations;
      this.#execute(operations, this.#vector);
      for (const operation of operations) done(operation);
      operations.length = 0;
    }
  }

  #execute(operations: readonly Operation[], vector: IoVector): void {
    for (let index = 0; index < operations.length;) {
      const operation = operations[index];
      if (!operation) return;
      if (operation.type === READ || operation.type === WRITE) {
        index = this.#transferRuns(operations, index, operations.length, vector);
        continue;
      }
      operation.error = this.#executeOther(operation);
      index++;
      // One flush is enough for several in a row.
      for (; operation.type === FLUSH && operations[index]?.type === FLUSH; index++) {
        const next = operations[index];
        if (next) next.error = operation.error;
      }
    }
  }

  /**
   * Executes the reads and writes from `index` on, up to the first other operation. @returns the first one not executed
   */
  #transferRuns(operations: readonly Operation[], index: number, count: number, vector: IoVector): number {
    let after = index;
    let runs = 0;
    while (after < count && runs < MAX_TRANSFERS) {
      const run = this.#runs[runs];
      if (!run || !findRun(run, operations, after, count)) break;
      after = run.after;
      runs++;
    }
    // For a single transfer, a plain call is simplest.
    const together = runs > 1 && this.#batch !== undefined ? this.#transferTogether(this.#batch, runs, vector) : 0;
    for (let each = 0; each < runs; each++) {
      const run = this.#runs[each];
      if (!run) break;
      // Transfers that failed together are repeated one by one, to find the error.
      const done = each < together && this.#batch?.result(each) === run.length;
      if (done) setErrors(operations, run, 0);
      else this.#transferRun(operations, run, vector);
    }
    return after;
  }

  /** @returns how many of the runs were executed, successfully or not */
  #transferTogether(batch: TransferBatch, runs: number, vector: IoVector): number {
    batch.count = 0;
    for (let each = 0; each < runs; each++) {
      const run = this.#runs[each];
      // The end of a truncated file is checked for individual transfers.
      if (!run || run.position + run.length > this.#size || run.count > file.IOV_MAX) break;
      const opcode = run.type === WRITE ? IOCB_CMD_PWRITEV : IOCB_CMD_PREADV;
      batch.push(opcode, this.#fd, vector.at(run.first), run.count, run.position);
    }
    return batch.count === 0 ? 0 : batch.run();
  }

  /** Executes a single run. */
  #transferRun(operations: readonly Operation[], run: Run, vector: IoVector): void {
    const { type, position, length, first, count, index, after } = run;
    const error = this.#transfer(type === WRITE, position, length, vector, first, count);
    setErrors(operations, run, error);
    if (error === 0 || after === index + 1) return;
    // Only one of them caused the error: execute each separately to find it.
    for (let each = index; each < after; each++) {
      const operation = operations[each];
      if (operation) operation.error = this.#transferOne(operation, vector);
    }
  }

  #transferOne({ type, position, length, first, count }: Operation, vector: IoVector): number {
    return this.#transfer(type === WRITE, position, length, vector, first, count);
  }

  /** Transfers all data, in as many calls as necessary. @returns 0, or an error number */
  #transfer(
    writing: boolean,
    position: number,
    length: number,
    vector: IoVector,
    first: number,
    count: number,
  ): number {
    // A write must not extend the file; for reads, the file itself knows its end best.
    if (writing && position + length > this.#size) return Errno.EIO;
    const moved = this.#call(writing, position, vector, first, Math.min(count, file.IOV_MAX));
    if (moved === length) return 0;
    if (moved < 0) return lastErrno();
    return this.#transferRest(writing, position, length, moved, vector, first, count);
  }

  #call(writing: boolean, position: number, vector: IoVector, first: number, count: number): number {
    if (count === 1) {
      const move = writing ? file.pwrite : file.pread;
      const address = vector.base(first);
      const length = vector.length(first);
      const moved = move(this.#fd, address, length, position);
      return moved === -1 && lastErrno() === Errno.EINTR
        ? retryInterrupted(() => move(this.#fd, address, length, position))
        : moved;
    }
    const move = writing ? file.pwritev : file.preadv;
    const address = vector.at(first);
    const moved = move(this.#fd, address, count, position);
    return moved === -1 && lastErrno() === Errno.EINTR
      ? retryInterrupted(() => move(this.#fd, address, count, position))
      : moved;
  }

  /** The remainder after a call: it was interrupted, had too many entries, or reached the end of the file. */
  #transferRest(
    writing: boolean,
    position: number,
    length: number,
    already: number,
    vector: IoVector,
    first: number,
    count: number,
  ): number {
    let moved = already;
    for (let last = already; moved < length; moved += last) {
      // Nothing more can be transferred: for a read, this is the end of the file; for a write, the disk is full.
      if (last === 0) return writing ? Errno.ENOSPC : Errno.EIO;
      this.#rest.count = 0;
      let skip = moved;
      for (let entry = first; entry < first + count && this.#rest.count < this.#rest.capacity; entry++) {
        const size = vector.length(entry);
        if (skip < size) this.#rest.push(vector.base(entry) + skip, size - skip);
        skip = Math.max(0, skip - size);
      }
      last = this.#call(writing, position + moved, this.#rest, 0, this.#rest.count);
      if (last < 0) return lastErrno();
    }
    return 0;
  }

  #executeOther(operation: Operation): number {
    const { type, position, length, unmap } = operation;
    switch (type) {
      case FLUSH:
        return this.#flush();
      case DISCARD:
        // Failure is not an error: a discard is a hint.
        return ignoring(Errno.EOPNOTSUPP, this.#discard(position, length));
      case WRITE_ZEROES: {
        const mode = unmap ? file.FALLOC_FL_PUNCH_HOLE : file.FALLOC_FL_ZERO_RANGE;
        const error = this.#allocate(mode, position, length);
        // EINVAL: a block device supports it for whole blocks only.
        const byHand = error === Errno.EOPNOTSUPP || (error === Errno.EINVAL && this.#blockDevice !== undefined);
        return byHand ? this.#writeZeros(position, length) : error;
      }
      case READ:
      case WRITE:
        return Errno.EINVAL;
    }
  }

  /**
   * The threads flush one at a time, so that no flush succeeds before the failure of another one is recorded.
   */
  #flush(): number {
    const shared = this.#shared;
    while (Atomics.compareExchange(shared, FLUSHING, 0, 1) !== 0) Atomics.wait(shared, FLUSHING, 1);
    try {
      if (this.#failure.hasFailed) return Errno.EIO;
      if (retryInterrupted(() => file.fdatasync(this.#fd)) === 0) return 0;
      const error = lastErrno();
      this.#failure.set(error);
      return error;
    } finally {
      Atomics.store(shared, FLUSHING, 0);
      Atomics.notify(shared, FLUSHING, 1);
    }
  }

  #discard(position: number, length: number): number {
    const block = this.#blockDevice;
    if (block === undefined) return this.#allocate(file.FALLOC_FL_PUNCH_HOLE, position, length);
    if (position + length > this.#size) return Errno.EIO;
    // If the driver has smaller blocks than the disk, partial blocks are kept.
    const start = Math.ceil(position / block) * block;
    const end = Math.floor((position + length) / block) * block;
    if (start >= end) return 0;
    writeAddress(this.#range.u32, 0, start);
    writeAddress(this.#range.u32, 2, end - start);
    return retryInterrupted(() => ioctlNumber(this.#fd, BLKDISCARD, this.#range.address)) === 0 ? 0 : lastErrno();
  }

  #allocate(mode: number, position: number, length: number): number {
    if (position + length > this.#size) return Errno.EIO;
    const result = retryInterrupted(() => file.fallocate(this.#fd, mode | file.FALLOC_FL_KEEP_SIZE, position, length));
    return result === 0 ? 0 : lastErrno();
  }

  #writeZeros(position: number, length: number): number {
    this.#zeros ??= new NativeBuffer(ZEROS);
    const { address } = this.#zeros;
    for (let done = 0; done < length;) {
      const at = position + done;
      const size = Math.min(ZEROS, length - done);
      const written = retryInterrupted(() => file.pwrite(this.#fd, address, size, at));
      if (written <= 0) return written === 0 ? Errno.ENOSPC : lastErrno();
      done += written;
    }
    return 0;
  }

  close(): void {
    this.#flush();
    this.#rest.free();
    this.#range.free();
    this.#zeros?.free();
    this.#batch?.close();
  }
}

/**
 * Builds a run from the operation `index` and the operations that continue it. @returns false if it is not a transfer
 */
function findRun(run: Run, operations: readonly Operation[], index: number, count: number): boolean {
  const head = operations[index];
  if (head?.type !== READ && head?.type !== WRITE) return false;
  run.type = head.type;
  run.index = index;
  run.position = head.position;
  run.length = head.length;
  run.first = head.first;
  run.count = head.count;
  let after = index + 1;
  for (; after < count; after++) {
    const next = operations[after];
    if (next?.type !== head.type || next.position !== head.position + run.length) break;
    if (next.first !== head.first + run.count || run.count + next.count > file.IOV_MAX) break;
    if (run.length + next.length > MAX_BYTES) break;
    run.length += next.length;
    run.count += next.count;
  }
  run.after = after;
  return true;
}

function setErrors(operations: readonly Operation[], { index, after }: Run, error: number): void {
  for (let each = index; each < after; each++) {
    const operation = operations[each];
    if (operation) operation.error = error;
  }
}

function ignoring(ignored: number, error: number): number {
  return error === ignored ? 0 : error;
}
