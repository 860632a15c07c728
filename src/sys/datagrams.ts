import { IoVector } from './io-vector.js';
import { libc } from './libc.js';
import { NativeBuffer, writeAddress } from './memory.js';
import { MSG_DONTWAIT, MSG_TRUNC } from './socket.js';

const recvmmsg: (fd: number, messages: number, count: number, flags: number, timeout: number) => number = libc.func(
  'int recvmmsg(int fd, uintptr_t messages, unsigned int count, int flags, uintptr_t timeout)',
);

/**
 * Length of a struct mmsghdr on a 64-bit machine in words of 32 bits, and the offsets of its members. Both from
 * linux/socket.h.
 */
const HEADER_WORDS = 16;
const NAME = 0;
const NAME_LENGTH = 2;
const VECTOR = 4;
const VECTOR_LENGTH = 6;
const LENGTH = 14;

/** Space for a sender's address, in bytes: more than that of any netlink socket. */
const ADDRESS_LENGTH = 16;

/** Receives all available datagrams of a socket with one system call, whose overhead exceeds its work. */
export class DatagramReader {
  readonly #capacity: number;
  readonly #room: number;
  readonly #headers: NativeBuffer;
  readonly #vector: IoVector;
  readonly #senders: NativeBuffer;
  readonly #contents: NativeBuffer;

  /**
   * @param capacity maximum number of datagrams per call
   * @param room maximum length in bytes of each; longer ones are truncated. Unused space takes no memory
   */
  constructor(capacity: number, room: number) {
    this.#capacity = capacity;
    this.#room = room;
    this.#headers = new NativeBuffer(capacity * HEADER_WORDS * 4);
    this.#senders = new NativeBuffer(capacity * ADDRESS_LENGTH);
    this.#contents = new NativeBuffer(capacity * room);
    this.#vector = new IoVector(capacity);
    const words = this.#headers.u32;
    for (let index = 0; index < capacity; index++) {
      this.#vector.push(this.#contents.address + index * room, room);
      const header = index * HEADER_WORDS;
      writeAddress(words, header + NAME, this.#senders.address + index * ADDRESS_LENGTH);
      writeAddress(words, header + VECTOR, this.#vector.at(index));
      words[header + VECTOR_LENGTH] = 1;
    }
  }

  /**
   * Receives available datagrams, overwriting the previous ones. @returns their number; -1 if there is none, or on
   * another error
   */
  receive(fd: number): number {
    const words = this.#headers.u32;
    for (let index = 0; index < this.#capacity; index++) words[index * HEADER_WORDS + NAME_LENGTH] = ADDRESS_LENGTH;
    return recvmmsg(fd, this.#headers.address, this.#capacity, MSG_DONTWAIT | MSG_TRUNC, 0);
  }

  /** The full length of a datagram. */
  length(index: number): number {
    return this.#headers.u32[index * HEADER_WORDS + LENGTH] ?? 0;
  }

  /** A copy of the received part of a datagram. */
  content(index: number): Uint8Array {
    const start = index * this.#room;
    return this.#contents.u8.slice(start, start + Math.min(this.length(index), this.#room));
  }

  /** The sender's address of a datagram, valid until the next call. */
  sender(index: number): Uint8Array {
    const start = index * ADDRESS_LENGTH;
    const length = this.#headers.u32[index * HEADER_WORDS + NAME_LENGTH] ?? 0;
    return this.#senders.u8.subarray(start, start + length);
  }

  /** Frees the memory; no other method may be called afterwards. */
  free(): void {
    this.#vector.free();
    for (const memory of [this.#headers, this.#senders, this.#contents]) memory.free();
  }
}
