import type { Waiter } from '../../engine/waiter.js';

/** Carries out operations on an open file, several at a time and in any order, while the thread goes on. */
export interface Carrier {
  /** What a thread sleeps in until an operation is done. It begins those that were added. */
  readonly waiter: Waiter;

  /** Whether operations are done. */
  readonly hasCompletions: boolean;

  /**
   * Adds a read or a write; its result is the number of bytes. The operations that are added begin with the next {@link
   * submit} at the latest, or when the thread is about to sleep.
   * @param tag identifies it in {@link reap}; no other operation in flight has it
   */
  transfer(writing: boolean, position: number, address: number, length: number, tag: number): void;

  /** The same with several pieces of memory. @param vector the address of struct iovec, until it is done */
  transferVector(writing: boolean, position: number, vector: number, entries: number, tag: number): void;

  /** Adds fdatasync(2). One is in flight at a time. */
  flush(tag: number): void;

  /** Adds fallocate(2). @param mode FALLOC_FL_ */
  allocate(mode: number, position: number, length: number, tag: number): void;

  /** Adds the discard of a range of a block device: of whole logical blocks. */
  discard(position: number, length: number, tag: number): void;

  /** Begins the operations that were added, as far as there is space. @throws SystemError */
  submit(): void;

  /**
   * Takes operations that are done, perhaps not all.
   * @param done is given the tag, and the result: negative for an error number, ECANCELED after {@link cancel}. It may
   * add operations.
   */
  reap(done: (tag: number, result: number) => void): void;

  /** Cancels the operations in flight that can be. */
  cancel(): void;

  /** Closes it. Nothing is in flight. */
  close(): void;
}
