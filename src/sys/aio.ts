/**
 * The kernel's asynchronous I/O: io_submit(2) and related calls, from linux/aio_abi.h. Transfers with O_DIRECT are in
 * flight when the call returns. For a file that uses the page cache, the kernel executes each before: then only many
 * transfers in one call save time.
 */
import { Errno } from './errno.js';
import { openEventfd } from './events.js';
import { checked, close, lastErrno, libc, retryInterrupted } from './libc.js';
import { NativeBuffer, viewMemory, writeAddress } from './memory.js';

export const IOCB_CMD_PREAD = 0;
export const IOCB_CMD_PWRITE = 1;
export const IOCB_CMD_FDSYNC = 3;
export const IOCB_CMD_PREADV = 7;
export const IOCB_CMD_PWRITEV = 8;

const IOCB_FLAG_RESFD = 1;

/** struct iocb, in words of 32 bits; in little-endian order, as both architectures below have it. */
const IOCB_WORDS = 16;
const iocbWord = { data: 0, opcode: 4, fd: 5, address: 6, count: 8, position: 10, flags: 14, eventfd: 15 } as const;

/** struct aio_ring, in words of 32 bits, and after it struct io_event: data, object and two results of 64 bits. */
const ringWord = { count: 1, head: 2, tail: 3, magic: 4, incompatible: 6, headerLength: 7 } as const;
const RING_MAGIC = 0xa10a10a1;
const RING_HEADER_BYTES = 32;
const EVENT_WORDS = 8;
const eventWord = { data: 0, result: 4, resultHigh: 5 } as const;

interface CallNumbers {
  readonly setup: number;
  readonly destroy: number;
  readonly getEvents: number;
  readonly submit: number;
}

/** The C library has no functions for these calls, only numbers, which differ between architectures. */
const numbers: Partial<Record<string, CallNumbers>> = {
  x64: { setup: 206, destroy: 207, getEvents: 208, submit: 209 },
  arm64: { setup: 0, destroy: 1, getEvents: 4, submit: 2 },
};

const syscall: (number: number, a: number, b: number, c: number, d: number, e: number) => number = libc.func(
  'intptr_t syscall(long number, intptr_t a, intptr_t b, intptr_t c, intptr_t d, intptr_t e)',
);

/** Given the tag of a transfer, and the bytes transferred or a negative error number. */
type Done = (tag: number, result: number) => void;

/** A context of io_setup(2), for a single thread. */
class AioContext {
  readonly #call: CallNumbers;
  readonly #id: number;
  readonly #ring: Uint32Array;
  readonly #entries: number;

  /** @returns undefined if the kernel does not support it, does not permit it, or has reached its limit */
  static open(capacity: number): AioContext | undefined {
    const call = numbers[process.arch];
    if (call === undefined) return undefined;
    const word = new NativeBuffer(8);
    try {
      if (syscall(call.setup, capacity, word.address, 0, 0, 0) !== 0) return undefined;
      const id = (word.u32[1] ?? 0) * 0x1_0000_0000 + (word.u32[0] ?? 0);
      const header = new Uint32Array(viewMemory(id, RING_HEADER_BYTES));
      // Events can be taken from the ring without a call if its layout is the known one.
      const known =
        header[ringWord.magic] === RING_MAGIC &&
        header[ringWord.incompatible] === 0 &&
        header[ringWord.headerLength] === RING_HEADER_BYTES;
      if (known) return new AioContext(call, id, header[ringWord.count] ?? 0);
      syscall(call.destroy, id, 0, 0, 0, 0);
      return undefined;
    } finally {
      word.free();
    }
  }

  private constructor(call: CallNumbers, id: number, entries: number) {
    this.#call = call;
    this.#id = id;
    this.#entries = entries;
    this.#ring = new Uint32Array(viewMemory(id, RING_HEADER_BYTES + entries * EVENT_WORDS * 4));
  }

  /** io_submit(2). @param pointers the address of `count` addresses of struct iocb @returns as the call */
  submit(count: number, pointers: number): number {
    return syscall(this.#call.submit, this.#id, count, pointers, 0, 0);
  }

  get hasEvents(): boolean {
    return Atomics.load(this.#ring, ringWord.tail) !== this.#ring[ringWord.head];
  }

  /** Takes completed transfers from the ring. @returns how many */
  reap(done: Done): number {
    const ring = this.#ring;
    const tail = Atomics.load(ring, ringWord.tail);
    let head = ring[ringWord.head] ?? 0;
    let count = 0;
    for (; head !== tail; count++) {
      const at = RING_HEADER_BYTES / 4 + head * EVENT_WORDS;
      const tag = ring[at + eventWord.data] ?? 0;
      const result = resultOf(ring, at);
      head = head + 1 === this.#entries ? 0 : head + 1;
      // Free before the call, which may begin more.
      Atomics.store(ring, ringWord.head, head);
      done(tag, result);
    }
    return count;
  }

  /**
   * Waits for one more, and takes as many as there are. Some files execute transfers asynchronously.
   * @throws SystemError if it is unknown when they are done: the kernel may use their memory until it ends this process
   */
  wait(events: NativeBuffer, capacity: number, done: Done): number {
    const wait = (): number => syscall(this.#call.getEvents, this.#id, 1, capacity, events.address, 0);
    const count = checked('wait for transfers', retryInterrupted(wait));
    for (let index = 0; index < count; index++) {
      const at = index * EVENT_WORDS;
      done(events.u32[at + eventWord.data] ?? 0, resultOf(events.u32, at));
    }
    return count;
  }

  /** Waits until what is in flight is done. */
  close(): void {
    syscall(this.#call.destroy, this.#id, 0, 0, 0, 0);
  }
}

function resultOf(words: Uint32Array, at: number): number {
  const low = words[at + eventWord.result] ?? 0;
  // An error number is a small negative number; a transfer has less than 2^31 bytes.
  return (words[at + eventWord.resultHigh] ?? 0) === 0 ? low : low | 0;
}

/** An array of struct iocb, and of their addresses for io_submit(2). */
class IocbList {
  readonly capacity: number;
  readonly #iocbs: NativeBuffer;
  readonly #pointers: NativeBuffer;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.#iocbs = new NativeBuffer(capacity * IOCB_WORDS * 4);
    this.#pointers = new NativeBuffer(capacity * 8);
    for (let index = 0; index < capacity; index++) {
      writeAddress(this.#pointers.u32, index * 2, this.#iocbs.address + index * IOCB_WORDS * 4);
    }
  }

  /** @param count bytes at `address`, or entries of a vector there @param eventfd signalled when it is done */
  write(
    index: number,
    opcode: number,
    fd: number,
    address: number,
    count: number,
    position: number,
    tag: number,
    eventfd?: number,
  ): void {
    const iocb = this.#iocbs.u32;
    const at = index * IOCB_WORDS;
    iocb[at + iocbWord.data] = tag;
    iocb[at + iocbWord.opcode] = opcode;
    iocb[at + iocbWord.fd] = fd;
    writeAddress(iocb, at + iocbWord.address, address);
    writeAddress(iocb, at + iocbWord.count, count);
    writeAddress(iocb, at + iocbWord.position, position);
    iocb[at + iocbWord.flags] = eventfd === undefined ? 0 : IOCB_FLAG_RESFD;
    iocb[at + iocbWord.eventfd] = eventfd ?? 0;
  }

  tag(index: number): number {
    return this.#iocbs.u32[index * IOCB_WORDS + iocbWord.data] ?? 0;
  }

  /** The address of the addresses from `index` on. */
  pointers(index: number): number {
    return this.#pointers.address + index * 8;
  }

  /** Copies the entries [first, first + count) of another list to the start of this one. */
  copy(other: IocbList, first: number, count: number): void {
    this.#iocbs.u32.set(other.#iocbs.u32.subarray(first * IOCB_WORDS, (first + count) * IOCB_WORDS));
  }

  free(): void {
    this.#iocbs.free();
    this.#pointers.free();
  }
}

/** A list of transfers that are executed together, reused by a single thread. */
export class TransferBatch {
  readonly capacity: number;
  /** Number of transfers in the list. */
  count = 0;
  readonly #context: AioContext;
  readonly #iocbs: IocbList;
  readonly #events: NativeBuffer;
  readonly #results: Float64Array;

  /** @returns undefined if the kernel does not support it, does not permit it, or has reached its limit */
  static open(capacity: number): TransferBatch | undefined {
    const context = AioContext.open(capacity);
    return context && new TransferBatch(capacity, context);
  }

  private constructor(capacity: number, context: AioContext) {
    this.capacity = capacity;
    this.#context = context;
    this.#iocbs = new IocbList(capacity);
    this.#events = new NativeBuffer(capacity * EVENT_WORDS * 4);
    this.#results = new Float64Array(capacity);
  }

  /**
   * Adds a transfer. The caller ensures that `count` is below `capacity`.
   * @param opcode IOCB_CMD_PREADV or IOCB_CMD_PWRITEV
   * @param vector the address of `entries` struct iovec
   */
  push(opcode: number, fd: number, vector: number, entries: number, position: number): void {
    this.#iocbs.write(this.count, opcode, fd, vector, entries, position, this.count);
    this.count++;
  }

  /**
   * Executes the list, in any order, and waits until all are done. See {@link result}.
   * @returns how many were executed, from the first on: possibly fewer than in the list
   */
  run(): number {
    const submitted = Math.max(this.#context.submit(this.count, this.#iocbs.pointers(0)), 0);
    let done = this.#context.reap(this.#take);
    while (done < submitted) {
      done += this.#context.wait(this.#events, this.capacity, this.#take);
      done += this.#context.reap(this.#take);
    }
    return submitted;
  }

  /** The number of bytes transferred in the last run, or a negative error number. */
  result(index: number): number {
    return this.#results[index] ?? 0;
  }

  readonly #take = (index: number, result: number): void => {
    this.#results[index] = result;
  };

  close(): void {
    this.#context.close();
    this.#iocbs.free();
    this.#events.free();
  }
}

/** Operations that the kernel carries out while the thread goes on; of a single thread. */
export class AioQueue {
  /** An eventfd, signalled when an operation is done. */
  readonly eventfd = openEventfd();
  readonly #context: AioContext;
  /** Operations that have not begun: from `first` up to, but not including, `end`. */
  #iocbs: IocbList;
  #first = 0;
  #end = 0;
  #inFlight = 0;
  /** The kernel has no space for more until some are done. */
  #isFull = false;
  /** Operations that the kernel has rejected, to be reported. */
  #rejected: { readonly tag: number; readonly result: number }[] = [];
  #done: Done = () => undefined;

  /**
   * @param capacity operations in flight; others wait
   * @returns undefined if the kernel does not support it, does not permit it, or has no more of it (fs.aio-max-nr)
   */
  static open(capacity: number): AioQueue | undefined {
    const context = AioContext.open(capacity);
    return context && new AioQueue(capacity, context);
  }

  private constructor(capacity: number, context: AioContext) {
    this.#context = context;
    this.#iocbs = new IocbList(capacity);
  }

  /**
   * Adds an operation, which begins with the next {@link submit}.
   * @param opcode IOCB_CMD_
   * @param count bytes at `address`, or entries of a vector there
   * @param tag identifies it in {@link reap}
   */
  push(opcode: number, fd: number, address: number, count: number, position: number, tag: number): void {
    if (this.#end === this.#iocbs.capacity) this.#makeSpace();
    this.#iocbs.write(this.#end++, opcode, fd, address, count, position, tag, this.eventfd);
  }

  #makeSpace(): void {
    const waiting = this.#end - this.#first;
    const old = this.#iocbs;
    this.#iocbs = new IocbList(waiting > old.capacity / 2 ? old.capacity * 2 : old.capacity);
    this.#iocbs.copy(old, this.#first, waiting);
    old.free();
    this.#first = 0;
    this.#end = waiting;
  }

  /** Begins the operations that were added. If the kernel has no space for some, they begin later. */
  submit(): void {
    while (this.#first < this.#end && !this.#isFull) {
      const begun = this.#context.submit(this.#end - this.#first, this.#iocbs.pointers(this.#first));
      if (begun > 0) {
        this.#first += begun;
        this.#inFlight += begun;
        continue;
      }
      const errno = begun === 0 ? Errno.EAGAIN : lastErrno();
      if (errno === Errno.EINTR) continue;
      if (errno === Errno.EAGAIN) {
        this.#isFull = this.#inFlight > 0;
        return;
      }
      // The error is that of the first of them.
      this.#rejected.push({ tag: this.#iocbs.tag(this.#first), result: -errno });
      this.#first++;
    }
    if (this.#first === this.#end) this.#first = this.#end = 0;
  }

  /** Whether operations were added that can begin. */
  get hasUnsubmitted(): boolean {
    return this.#first < this.#end && !this.#isFull;
  }

  /** Whether operations are done. */
  get hasCompletions(): boolean {
    return this.#rejected.length > 0 || this.#context.hasEvents;
  }

  /** Takes the operations that are done. @param done may add operations */
  reap(done: Done): void {
    if (this.#rejected.length > 0) {
      const rejected = this.#rejected;
      this.#rejected = [];
      for (const { tag, result } of rejected) done(tag, result);
    }
    this.#done = done;
    this.#context.reap(this.#completed);
  }

  readonly #completed = (tag: number, result: number): void => {
    this.#inFlight--;
    this.#isFull = false;
    this.#done(tag, result);
  };

  /** Closes it. Operations in flight must be done. */
  close(): void {
    this.#context.close();
    this.#iocbs.free();
    close(this.eventfd);
  }
}
