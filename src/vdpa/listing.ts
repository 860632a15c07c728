/** Lists of the kernel's objects, for programs. */

/** Reads a list: passes on each object as it arrives; `onRestart` means that the list starts again. */
type ReadList<Item> = (onItem: (item: Item) => void, onRestart: () => void, signal?: AbortSignal) => Promise<void>;

const ignore = (): void => undefined;

/**
 * A list of the kernel's objects. `await` reads it whole, as an array; `for await` yields each object as the kernel
 * sends it. It is read when it is awaited or iterated.
 *
 * A list that changes while it is read is read again. An iteration still yields each object only once, but may have
 * yielded one that was deleted in the meantime. Leaving the loop discards the rest. The client can be used in the loop.
 *
 * @example
 * const names = (await client.devices()).map(({ name }) => name);
 * for await (const { name } of client.devices({ signal })) console.log(name);
 */
export class Listing<Item> implements Promise<Item[]>, AsyncIterable<Item> {
  readonly [Symbol.toStringTag] = 'Listing';
  readonly #read: ReadList<Item>;
  readonly #keyOf: (item: Item) => string;
  readonly #signal: AbortSignal | undefined;
  #whole: Promise<Item[]> | undefined;

  /** @internal */
  constructor(read: ReadList<Item>, keyOf: (item: Item) => string, signal: AbortSignal | undefined) {
    this.#read = read;
    this.#keyOf = keyOf;
    this.#signal = signal;
  }

  /** Yields each object as it arrives. @throws the errors of the method that created the list */
  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void, undefined> {
    const left = new AbortController();
    const signal = this.#signal === undefined ? left.signal : AbortSignal.any([this.#signal, left.signal]);
    const arrived = new Map<string, Item>();
    const yielded = new Set<string>();
    const progress = { ended: false };
    let wake = ignore;
    const reading = this.#read(
      (item) => {
        const key = this.#keyOf(item);
        if (yielded.has(key)) return;
        arrived.set(key, item);
        wake();
      },
      () => {
        arrived.clear();
      },
      signal,
    ).finally(() => {
      progress.ended = true;
      wake();
    });
    // Thrown below, unless the loop was left before.
    reading.catch(ignore);
    try {
      for (;;) {
        this.#signal?.throwIfAborted();
        const next = arrived.entries().next();
        if (next.done !== true) {
          const [key, item] = next.value;
          arrived.delete(key);
          yielded.add(key);
          yield item;
        } else if (progress.ended) {
          break;
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
      await reading;
    } finally {
      left.abort();
    }
  }

  then<Result = Item[], Caught = never>(
    onFulfilled?: ((items: Item[]) => Result | PromiseLike<Result>) | null,
    onRejected?: ((reason: unknown) => Caught | PromiseLike<Caught>) | null,
  ): Promise<Result | Caught> {
    return this.#all().then(onFulfilled, onRejected);
  }

  catch<Caught = never>(
    onRejected?: ((reason: unknown) => Caught | PromiseLike<Caught>) | null,
  ): Promise<Item[] | Caught> {
    return this.#all().catch(onRejected);
  }

  finally(onFinally?: (() => void) | null): Promise<Item[]> {
    return this.#all().finally(onFinally);
  }

  #all(): Promise<Item[]> {
    this.#whole ??= this.#gather();
    return this.#whole;
  }

  async #gather(): Promise<Item[]> {
    const items: Item[] = [];
    const onRestart = (): void => {
      items.length = 0;
    };
    await this.#read((item) => items.push(item), onRestart, this.#signal);
    return items;
  }
}
