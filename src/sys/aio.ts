/**
 * The kernel's asynchronous I/O: io_submit(2) and related calls, from linux/aio_abi.h. It is used for many transfers in
 * one system call: for a file that uses the page cache, the kernel executes each before the call returns.
 */
import { checked, libc, retryInterrupted } from './libc.js';
import { NativeBuffer, viewMemory, writeAddress } from './memory.js';

export const IOCB_CMD_PREADV = 7;
export const IOCB_CMD_PWRITEV = 8;

/** struct iocb, in words of 32 bits; in little-endian order, as both architectures below have it. */
const IOCB_WORDS = 16;
const iocbWord = { data: 0, opcode: 4, fd: 5, address: 6, count: 8, position: 10 } as const;

/** struct aio_ring, in words of 32 bits, and after it struct io_event: data, object and two results of 64 bits. */
const ringWord = { count: 1, head: 2, tail: 3, magic: 4, incompatible: 6, headerLength: 7 } as const;
const RING_MAGIC = 0xa10a10a1;
const RING_HEADER_BYTES = 32;
const EVENT_WORDS = 8;
const eventWord = { data: 0, result: 4, resultHigh: 5 } as const;

/** The C library has no functions for these calls, only numbers, which differ between architectures. */
const numbers: Partial<Record<string, { setup: number; destroy: number; getEvents: number; submit: number }>> = {
  x64: { setup: 206, destroy: 207, getEvents: 208, submit: 209 },
  arm64: { setup: 0, destroy: 1, getEvents: 4, submit: 2 },
};

const syscall: (number: number, a: number, b: number, c: number, d: number, e: number) => number = libc.func(
  'intptr_t syscall(long number, intptr_t a, intptr_t b, intptr_t c, intptr_t d, intptr_t e)',
);

/** A list of transfers that are executed together, reused by a single thread. */
export class TransferBatch {
  readonly capacity: number;
  /** Number of transfers in the list. */
  count = 0;
  readonly #call: { readonly destroy: number; readonly getEvents: number; readonly submit: number };
  readonly #context: number;
  readonly #ring: Uint32Array;
  readonly #ringEntries: number;
  readonly #iocbs: NativeBuffer;
  /** The addresses of the iocbs, for io_submit(2). */
  readonly #pointers: NativeBuffer;
  readonly #events: NativeBuffer;
  readonly #results: Float64Array;

  /** @returns undefined if the kernel does not support it, does not permit it, or has reached its limit */
  static open(capacity: number): TransferBatch | undefined {
    const call = numbers[process.arch];
    if (call === undefined) return undefined;
    const word = new NativeBuffer(8);
    try {
      if (syscall(call.setup, capacity, word.address, 0, 0, 0) !== 0) return undefined;
      const context = (word.u32[1] ?? 0) * 0x1_0000_0000 + (word.u32[0] ?? 0);
      const header = new Uint32Array(viewMemory(context, RING_HEADER_BYTES));
      // Events can be taken from the ring without a call if its layout is the known one.
      const known =
        header[ringWord.magic] === RING_MAGIC &&
        header[ringWord.incompatible] === 0 &&
        header[ringWord.headerLength] === RING_HEADER_BYTES;
      if (known) return new TransferBatch(capacity, call, context, header[ringWord.count] ?? 0);
      syscall(call.destroy, context, 0, 0, 0, 0);
      return undefined;
    } finally {
      word.free();
    }
  }

  private constructor(
    capacity: number,
    call: { readonly destroy: number; readonly getEvents: number; readonly submit: number },
    context: number,
    ringEntries: number,
  ) {
    this.capacity = capacity;
    this.#call = call;
    this.#context = context;
    this.#ringEntries = ringEntries;
    this.#ring = new Uint32Array(viewMemory(context, RING_HEADER_BYTES + ringEntries * EVENT_WORDS * 4));
    this.#iocbs = new NativeBuffer(capacity * IOCB_WORDS * 4);
    this.#pointers = new NativeBuffer(capacity * 8);
    this.#events = new NativeBuffer(capacity * EVENT_WORDS * 4);
    this.#results = new Float64Array(capacity);
    for (let index = 0; index < capacity; index++) {
      writeAddress(this.#pointers.u32, index * 2, this.#iocbs.address + index * IOCB_WORDS * 4);
    }
  }

  /**
   * Adds a transfer. The caller ensures that `count` is below `capacity`.
   * @param opcode IOCB_CMD_PREADV or IOCB_CMD_PWRITEV
   * @param vector the address of `entries` struct iovec
   */
  push(opcode: number, fd: number, vector: number, entries: number, position: number): void {
    const iocb = this.#iocbs.u32;
    const at = this.count * IOCB_WORDS;
    iocb[at + iocbWord.data] = this.count;
    iocb[at + iocbWord.opcode] = opcode;
    iocb[at + iocbWord.fd] = fd;
    writeAddress(iocb, at + iocbWord.address, vector);
    iocb[at + iocbWord.count] = entries;
    writeAddress(iocb, at + iocbWord.position, position);
    this.count++;
  }

  /**
   * Executes the list, in any order, and waits until all are done. See {@link result}.
   * @returns how many were executed, from the first on: possibly fewer than in the list
   * @throws SystemError if it is unknown when they are done: the kernel may use their memory until it ends this process
   */
  run(): number {
    let submitted = syscall(this.#call.submit, this.#context, this.count, this.#pointers.address, 0, 0);
    if (submitted < 0) submitted = 0;
    for (let done = this.#reap(); done < submitted; done += this.#reap()) done += this.#wait();
    return submitted;
  }

  /** The number of bytes transferred in the last run, or a negative error number. */
  result(index: number): number {
    return this.#results[index] ?? 0;
  }

  /** Takes completed transfers from the ring. */
  #reap(): number {
    const ring = this.#ring;
    const tail = Atomics.load(ring, ringWord.tail);
    let head = ring[ringWord.head] ?? 0;
    let count = 0;
    for (; head !== tail; count++) {
      this.#take(ring, RING_HEADER_BYTES / 4 + head * EVENT_WORDS);
      head = head + 1 === this.#ringEntries ? 0 : head + 1;
    }
    Atomics.store(ring, ringWord.head, head);
    return count;
  }

  /** Waits for one more, and takes it. Some files execute transfers asynchronously. */
  #wait(): number {
    const wait = (): number => syscall(this.#call.getEvents, this.#context, 1, this.capacity, this.#events.address, 0);
    const count = checked('wait for transfers', retryInterrupted(wait));
    for (let index = 0; index < count; index++) this.#take(this.#events.u32, index * EVENT_WORDS);
    return count;
  }

  #take(words: Uint32Array, at: number): void {
    const low = words[at + eventWord.result] ?? 0;
    // An error number is a small negative number; a transfer has less than 2^31 bytes.
    this.#results[words[at + eventWord.data] ?? 0] = (words[at + eventWord.resultHigh] ?? 0) === 0 ? low : low | 0;
  }

  close(): void {
    syscall(this.#call.destroy, this.#context, 0, 0, 0, 0);
    this.#iocbs.free();
    this.#pointers.free();
    this.#events.free();
  }
}
