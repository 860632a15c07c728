/**
 * io_uring(7), from linux/io_uring.h: operations on files that the kernel carries out while the thread goes on. Both
 * rings are views of memory that the kernel shares, so that only beginning operations takes a system call.
 */
import { Errno } from './errno.js';
import { SystemError } from './error.js';
import { close, lastErrno, libc } from './libc.js';
import {
  keepFromChildren,
  MAP_SHARED,
  mapFile,
  NativeBuffer,
  pageSize,
  PROT_READ,
  PROT_WRITE,
  unmap,
  viewMemory,
  writeAddress,
} from './memory.js';

export const IORING_OP_READV = 1;
export const IORING_OP_WRITEV = 2;
export const IORING_OP_FSYNC = 3;
const IORING_OP_POLL_ADD = 6;
const IORING_OP_ASYNC_CANCEL = 14;
export const IORING_OP_FALLOCATE = 17;
export const IORING_OP_READ = 22;
export const IORING_OP_WRITE = 23;
export const IORING_OP_URING_CMD = 46;

export const IORING_FSYNC_DATASYNC = 1;

const IORING_ASYNC_CANCEL_ALL = 1;
const IORING_ASYNC_CANCEL_ANY = 4;
const IORING_POLL_ADD_MULTI = 1;
const POLLIN = 1;

/** The same numbers on every architecture. */
const SETUP = 425;
const ENTER = 426;
const REGISTER = 427;

const IORING_SETUP_CQSIZE = 1 << 3;
const IORING_SETUP_CLAMP = 1 << 4;
/**
 * What completes operations runs when the thread asks for it, and not in the midst of something else: since Linux 6.1.
 */
const DEFERRED = (1 << 9) | (1 << 12) | (1 << 13);
const IORING_FEAT_NODROP = 1 << 1;
const IORING_FEAT_SUBMIT_STABLE = 1 << 2;
const IORING_FEAT_EXT_ARG = 1 << 8;
const IORING_ENTER_GETEVENTS = 1;
const IORING_ENTER_EXT_ARG = 1 << 3;
const IORING_SQ_CQ_OVERFLOW = 1 << 1;
const IORING_SQ_TASKRUN = 1 << 2;
const IORING_CQE_F_MORE = 1 << 1;
const IORING_REGISTER_PROBE = 8;
const IO_URING_OP_SUPPORTED = 1;

const IORING_OFF_SQ_RING = 0;
const IORING_OFF_CQ_RING = 0x800_0000;
const IORING_OFF_SQES = 0x1000_0000;

/** struct io_uring_params, in words of 32 bits. */
const param = {
  sqEntries: 0,
  cqEntries: 1,
  flags: 2,
  features: 5,
  sqHead: 10,
  sqTail: 11,
  sqMask: 12,
  sqFlags: 14,
  sqArray: 16,
  cqHead: 20,
  cqTail: 21,
  cqMask: 22,
  cqEvents: 25,
} as const;
const PARAMS_BYTES = 120;
const MAP_POPULATE = 0x8000;

/** struct io_uring_sqe and struct io_uring_cqe, in words of 32 bits. */
const SQE_WORDS = 16;
const sqe = { operation: 0, fd: 1, offset: 2, address: 4, length: 6, flags: 7, tag: 8, address3: 12 } as const;
const CQE_WORDS = 4;
const cqe = { tag: 0, kind: 1, result: 2, flags: 3 } as const;

/** struct io_uring_probe: a header of 16 bytes, and 8 for each operation. */
const PROBE_OPERATIONS = 64;

/** What a completion is of: an operation of the caller, a descriptor that is watched, or what nobody waits for. */
const kind = { OPERATION: 0, WATCH: 1, CANCELLATION: 2 } as const;

/**
 * struct io_uring_getevents_arg, in words of 32 bits, and after it a struct __kernel_timespec: two of 64 bits, of which
 * the upper halves are 0 here.
 */
const WAIT_ARGUMENT_BYTES = 24;
const waitArgument = { timeout: 4, seconds: 6, nanoseconds: 8 } as const;

/** Time until operations are tried again that the kernel had no memory for. */
const RETRY_MS = 1;

const syscall: (number: number, a: number, b: number, c: number, d: number, e: number, f: number) => number = libc.func(
  'intptr_t syscall(long number, intptr_t a, intptr_t b, intptr_t c, intptr_t d, intptr_t e, intptr_t f)',
);

/** An operation for {@link IoUring.push}; omitted fields are 0. */
export interface RingOperation {
  /** IORING_OP_. */
  readonly opcode: number;
  readonly fd: number;
  /** The position in the file, or what the operation has there. */
  readonly offset: number;
  readonly address: number;
  readonly length: number;
  /** IORING_FSYNC_ or RWF_. */
  readonly flags?: number;
  /** The second address of IORING_OP_URING_CMD. */
  readonly address3?: number;
}

/** A ring of a single thread. */
export class IoUring {
  readonly #fd: number;
  readonly #maps: readonly { readonly address: number; readonly length: number }[];
  readonly #sq: Uint32Array;
  readonly #sqes: Uint32Array;
  readonly #cq: Uint32Array;
  readonly #at: Readonly<Record<'sqTail' | 'sqFlags' | 'sqArray' | 'cqHead' | 'cqTail' | 'cqEvents', number>>;
  readonly #sqMask: number;
  readonly #cqMask: number;
  readonly #supported: readonly boolean[];
  /** The index after the last operation written. */
  #tail: number;
  #unsubmitted = 0;
  #inFlight = 0;
  readonly #watched: { readonly fd: number; readonly readable: () => void }[] = [];
  readonly #waitArgument = new NativeBuffer(WAIT_ARGUMENT_BYTES + 16);

  /**
   * @param entries operations that one system call can begin; rounded up to a power of two
   * @param completions operations that can be in flight
   * @returns undefined if the kernel does not support it or does not permit it
   * @throws SystemError if there is no memory for it
   */
  static open(entries: number, completions: number): IoUring | undefined {
    const params = new NativeBuffer(PARAMS_BYTES);
    try {
      params.u32[param.cqEntries] = Math.max(entries * 2, completions);
      let fd = -1;
      for (const flags of [DEFERRED, 0]) {
        params.u32[param.flags] = IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE | flags;
        fd = syscall(SETUP, entries, params.address, 0, 0, 0, 0);
        if (fd >= 0 || lastErrno() !== Errno.EINVAL) break;
      }
      if (fd < 0) {
        const errno = lastErrno();
        if (errno === Errno.ENOMEM) throw new SystemError({ operation: 'create an io_uring', errno });
        return undefined;
      }
      const needed = IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_EXT_ARG;
      if (((params.u32[param.features] ?? 0) & needed) === needed) return IoUring.#of(fd, params.u32.slice(0, 30));
      close(fd);
      return undefined;
    } finally {
      params.free();
    }
  }

  static #of(fd: number, params: Uint32Array): IoUring {
    try {
      return new IoUring(fd, params);
    } catch (error) {
      close(fd);
      throw error;
    }
  }

  private constructor(fd: number, params: Uint32Array) {
    const of = (word: number): number => params[word] ?? 0;
    const map = (length: number, offset: number): { address: number; length: number; words: Uint32Array } => {
      const flags = MAP_SHARED | MAP_POPULATE;
      const whole = Math.ceil(length / pageSize) * pageSize;
      const address = mapFile('map an io_uring', fd, whole, PROT_READ | PROT_WRITE, flags, offset);
      // A child has no use for it, and User-Mode Linux frees the pages too early after a fork.
      keepFromChildren('map an io_uring', address, whole);
      return { address, length: whole, words: new Uint32Array(viewMemory(address, whole)) };
    };
    this.#fd = fd;
    const sq = map(of(param.sqArray) + of(param.sqEntries) * 4, IORING_OFF_SQ_RING);
    const cq = map(of(param.cqEvents) + of(param.cqEntries) * CQE_WORDS * 4, IORING_OFF_CQ_RING);
    const sqes = map(of(param.sqEntries) * SQE_WORDS * 4, IORING_OFF_SQES);
    this.#maps = [sq, cq, sqes];
    this.#sq = sq.words;
    this.#cq = cq.words;
    this.#sqes = sqes.words;
    this.#at = {
      sqTail: of(param.sqTail) / 4,
      sqFlags: of(param.sqFlags) / 4,
      sqArray: of(param.sqArray) / 4,
      cqHead: of(param.cqHead) / 4,
      cqTail: of(param.cqTail) / 4,
      cqEvents: of(param.cqEvents) / 4,
    };
    this.#sqMask = this.#sq[of(param.sqMask) / 4] ?? 0;
    this.#cqMask = this.#cq[of(param.cqMask) / 4] ?? 0;
    this.#tail = this.#sq[this.#at.sqTail] ?? 0;
    this.#supported = probe(fd);
    writeAddress(this.#waitArgument.u32, waitArgument.timeout, this.#waitArgument.address + WAIT_ARGUMENT_BYTES);
  }

  /** Whether the kernel knows an operation. */
  supports(opcode: number): boolean {
    return this.#supported[opcode] === true;
  }

  /**
   * Adds an operation, which begins with the next {@link submit} or {@link wait}, or now if there is no space for more.
   * @param tag identifies it in {@link reap}; below 2^32
   */
  push(operation: RingOperation, tag: number): void {
    this.#inFlight++;
    this.#push(operation, tag, kind.OPERATION);
  }

  #push(operation: RingOperation, tag: number, tagKind: number): void {
    while (this.#unsubmitted > this.#sqMask) this.submit();
    const { opcode, fd, offset, address, length, flags = 0, address3 = 0 } = operation;
    const index = this.#tail & this.#sqMask;
    const at = index * SQE_WORDS;
    const words = this.#sqes;
    words[at + sqe.operation] = opcode;
    words[at + sqe.fd] = fd;
    writeAddress(words, at + sqe.offset, offset);
    writeAddress(words, at + sqe.address, address);
    words[at + sqe.length] = length;
    words[at + sqe.flags] = flags;
    words[at + sqe.tag] = tag;
    words[at + sqe.tag + 1] = tagKind;
    words[at + sqe.tag + 2] = 0;
    words[at + sqe.tag + 3] = 0;
    writeAddress(words, at + sqe.address3, address3);
    words[at + sqe.address3 + 2] = 0;
    words[at + sqe.address3 + 3] = 0;
    this.#sq[this.#at.sqArray + index] = index;
    this.#tail = (this.#tail + 1) >>> 0;
    this.#unsubmitted++;
  }

  /** Cancels all operations in flight that can be; those that are, end with ECANCELED. */
  cancelAll(): void {
    const flags = IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY;
    this.#push(
      { opcode: IORING_OP_ASYNC_CANCEL, fd: -1, offset: 0, address: 0, length: 0, flags },
      0,
      kind.CANCELLATION,
    );
    this.submit();
  }

  /**
   * Lets {@link wait} return when there is something new to read from a descriptor.
   * @param readable called by {@link reap} then
   */
  watch(fd: number, readable: () => void): void {
    this.#watched.push({ fd, readable });
    this.#watch(this.#watched.length - 1);
  }

  #watch(index: number): void {
    const fd = this.#watched[index]?.fd ?? -1;
    const poll = { opcode: IORING_OP_POLL_ADD, fd, offset: 0, address: 0 };
    this.#push({ ...poll, length: IORING_POLL_ADD_MULTI, flags: POLLIN }, index, kind.WATCH);
  }

  /**
   * Begins the operations that were added. If the kernel lacks memory for some, they begin later.
   * @throws SystemError
   */
  submit(): void {
    if (this.#unsubmitted > 0) this.#enter(0, 0);
  }

  /**
   * The same, and sleeps until an operation is done, a watched descriptor is readable, or a signal arrives.
   * @param timeoutMs -1 for no limit
   * @returns whether something has happened
   * @throws SystemError
   */
  wait(timeoutMs: number): boolean {
    if (this.hasCompletions) {
      this.submit();
      return true;
    }
    if (!this.#enter(1, timeoutMs)) this.#enter(1, RETRY_MS, 0);
    return this.hasCompletions;
  }

  /** @returns false if the kernel lacks memory @throws SystemError */
  #enter(completions: number, timeoutMs: number, unsubmitted = this.#unsubmitted): boolean {
    let flags = completions > 0 || this.#hasDeferred ? IORING_ENTER_GETEVENTS : 0;
    let argument = 0;
    if (completions > 0 && timeoutMs >= 0) {
      flags |= IORING_ENTER_EXT_ARG;
      argument = this.#waitArgument.address;
      this.#waitArgument.u32[waitArgument.seconds] = Math.trunc(timeoutMs / 1000);
      this.#waitArgument.u32[waitArgument.nanoseconds] = (timeoutMs % 1000) * 1e6;
    }
    if (unsubmitted > 0) Atomics.store(this.#sq, this.#at.sqTail, this.#tail);
    const size = argument === 0 ? 0 : WAIT_ARGUMENT_BYTES;
    const begun = syscall(ENTER, this.#fd, unsubmitted, completions, flags, argument, size);
    if (begun >= 0) {
      this.#unsubmitted -= begun;
      return true;
    }
    const errno = lastErrno();
    if (errno === Errno.EINTR || errno === Errno.ETIME) return true;
    if (errno === Errno.EAGAIN || errno === Errno.EBUSY) return false;
    throw new SystemError({ operation: 'begin operations of an io_uring', errno });
  }

  /**
   * Whether the kernel has completions that it reports when it is asked to. A hint: another processor may set the flag
   * after they were reported.
   */
  get #hasDeferred(): boolean {
    return (Atomics.load(this.#sq, this.#at.sqFlags) & (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN)) !== 0;
  }

  /** Number of operations that were added and not begun. */
  get unsubmitted(): number {
    return this.#unsubmitted;
  }

  /** Number of operations that were added and not taken with {@link reap}. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Whether operations are done, or watched descriptors are readable. {@link wait} and {@link reap} may find more. */
  get hasCompletions(): boolean {
    return Atomics.load(this.#cq, this.#at.cqTail) !== this.#cq[this.#at.cqHead];
  }

  /**
   * Takes operations that are done, in the order in which they were done.
   * @param done is given the tag, and the result: negative for an error number. It may add operations.
   * @param limit the most operations to take
   * @throws SystemError if a descriptor cannot be watched
   */
  reap(done: (tag: number, result: number) => void, limit = Infinity): void {
    const cq = this.#cq;
    if (!this.hasCompletions && this.#hasDeferred) this.#enter(0, 0);
    let head = cq[this.#at.cqHead] ?? 0;
    const tail = Atomics.load(cq, this.#at.cqTail);
    for (let count = 0; head !== tail && count < limit; head = (head + 1) >>> 0, count++) {
      const at = this.#at.cqEvents + (head & this.#cqMask) * CQE_WORDS;
      const tag = cq[at + cqe.tag] ?? 0;
      const tagKind = cq[at + cqe.kind] ?? 0;
      const result = (cq[at + cqe.result] ?? 0) | 0;
      const flags = cq[at + cqe.flags] ?? 0;
      // Free before the call, which may begin more.
      Atomics.store(cq, this.#at.cqHead, (head + 1) >>> 0);
      if (tagKind === kind.OPERATION) {
        this.#inFlight--;
        done(tag, result);
      } else if (tagKind === kind.WATCH) {
        this.#watchEvent(tag, result, flags);
      }
    }
  }

  /** @param result the events of a watched descriptor, or a negative error number */
  #watchEvent(index: number, result: number, flags: number): void {
    if (result < 0 && result !== -Errno.ECANCELED) {
      throw new SystemError({ operation: 'watch a descriptor', errno: -result });
    }
    // The kernel ends it when it lacks space for events, or if everything is cancelled.
    if ((flags & IORING_CQE_F_MORE) === 0) this.#watch(index);
    this.#watched[index]?.readable();
  }

  /** Closes it. Operations in flight must be done. */
  close(): void {
    for (const { address, length } of this.#maps) unmap('unmap an io_uring', address, length);
    close(this.#fd);
    this.#waitArgument.free();
  }
}

/** The operations that the kernel knows. */
function probe(fd: number): boolean[] {
  const list = new NativeBuffer(16 + PROBE_OPERATIONS * 8);
  try {
    if (syscall(REGISTER, fd, IORING_REGISTER_PROBE, list.address, PROBE_OPERATIONS, 0, 0) < 0) return [];
    return Array.from({ length: PROBE_OPERATIONS }, (_, opcode) => {
      const entry = 16 + opcode * 8;
      return opcode <= (list.u8[0] ?? 0) && ((list.u8[entry + 2] ?? 0) & IO_URING_OP_SUPPORTED) !== 0;
    });
  } finally {
    list.free();
  }
}
