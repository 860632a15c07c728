import { Errno } from '../sys/errno.js';
import { SystemError } from '../sys/error.js';

/** Maximum number of buffered characters: more than the output for a usual machine, and a limit for memory. */
const mostWaiting = 1 << 18;

/**
 * Buffers text until it is flushed, so that it is written in one piece, and output invalidated by a list that changed
 * in the meantime can be discarded. A long text is written in several pieces, of which the first are final.
 */
export class Output {
  readonly #write: (text: string) => void;
  #pending = '';
  #written = 0;

  /** @param write called with the text, in order; if it throws, that text is lost */
  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  /** Number of characters put so far. */
  get length(): number {
    return this.#written + this.#pending.length;
  }

  put(text: string): void {
    this.#pending += text;
    if (this.#pending.length >= mostWaiting) this.flush();
  }

  /**
   * Discards all but the first `length` characters.
   * @throws SystemError EINTR if some of the others are already written
   */
  truncate(length: number): void {
    if (length < this.#written) {
      const hint = 'The list changed while it was read, and part of it has been printed; try again';
      throw new SystemError({ operation: 'print a list again', errno: Errno.EINTR, hint });
    }
    this.#pending = this.#pending.slice(0, length - this.#written);
  }

  flush(): void {
    const text = this.#pending;
    this.#pending = '';
    this.#written += text.length;
    if (text !== '') this.#write(text);
  }
}
