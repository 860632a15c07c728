/** How many characters are gathered before they are written. */
const chunkLength = 65_536;

/** Text on its way out: gathered into large writes, and taken back while it has not been written. */
export class Output {
  readonly #write: (text: string) => void;
  #pending = '';
  #written = 0;

  /** @param write takes the text, in order; it may throw, and then no more is written */
  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  /** How many characters have been put so far. */
  get length(): number {
    return this.#written + this.#pending.length;
  }

  put(text: string): void {
    this.#pending += text;
    if (this.#pending.length >= chunkLength) this.flush();
  }

  flush(): void {
    if (this.#pending === '') return;
    const text = this.#pending;
    this.#pending = '';
    this.#written += text.length;
    this.#write(text);
  }

  /** Forgets what was put after {@link length} was `length`; false where some of that has been written. */
  truncate(length: number): boolean {
    if (length < this.#written) return false;
    this.#pending = this.#pending.slice(0, length - this.#written);
    return true;
  }
}
