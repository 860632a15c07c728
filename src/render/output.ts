import { Errno } from '../sys/errno.js';
import { SystemError } from '../sys/error.js';

/** How many characters may wait. More than a usual machine has to tell, and a bound for the memory it takes. */
const mostWaiting = 1 << 18;

/**
 * Text on its way out: gathered until it is flushed, so that it goes out in one piece, and what a list that changed
 * meanwhile has made untrue can be taken back. A long text goes out in several pieces, and the first ones for good.
 */
export class Output {
  readonly #write: (text: string) => void;
  #pending = '';
  #written = 0;

  /** @param write takes the text, in order; it may throw, and then that text is lost */
  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  /** How many characters have been put. */
  get length(): number {
    return this.#written + this.#pending.length;
  }

  put(text: string): void {
    this.#pending += text;
    if (this.#pending.length >= mostWaiting) this.flush();
  }

  /**
   * Forgets all but the first `length` characters.
   * @throws SystemError EINTR where some of the others are out already
   */
  truncate(length: number): void {
    if (length < this.#written) {
      const hint = 'What was listed changed meanwhile, and part of it is printed; try again';
      throw new SystemError({ operation: 'print a list anew', errno: Errno.EINTR, hint });
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
