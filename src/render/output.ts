/**
 * Text on its way out: gathered until it is flushed, so that it goes out in one piece, and what a list that changed
 * meanwhile has made untrue can be taken back.
 */
export class Output {
  readonly #write: (text: string) => void;
  #pending = '';

  /** @param write takes the text, in order; it may throw, and then that text is lost */
  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  /** How many characters wait to be flushed. */
  get length(): number {
    return this.#pending.length;
  }

  put(text: string): void {
    this.#pending += text;
  }

  /** Forgets all but the first `length` characters of what waits to be flushed. */
  truncate(length: number): void {
    this.#pending = this.#pending.slice(0, length);
  }

  flush(): void {
    const text = this.#pending;
    this.#pending = '';
    if (text !== '') this.#write(text);
  }
}
