/** A driver whose memory is a file that the device maps too. */
import { availableParallelism } from 'node:os';
import { EPOLLET, EPOLLIN, EventPoll } from '../../src/sys/events.js';
import { ftruncate, memfdCreate } from '../../src/sys/file.js';
import { checked, close } from '../../src/sys/libc.js';
import { MAP_SHARED, mapFile, PROT_READ, PROT_WRITE, unmap, viewMemory } from '../../src/sys/memory.js';
import { driveQueues, LoadedQueue, memoryBytes, type Load } from './loaded-queue.js';

/** Of this process, before a benchmark binds it to one of them. */
const processors = availableParallelism();

/** Before it measures: the time in which V8 compiles what is executed often. */
const WARM_UP_SECONDS = 3;

export class MemoryDriver {
  /** The memory file; the driver's addresses in it begin at {@link base}. */
  readonly memory: number;
  readonly bytes: number;
  readonly queues: readonly LoadedQueue[];
  readonly #load: Load;
  readonly #address: number;
  readonly #poll = new EventPoll();

  /** @param kickOf an eventfd for the kicks of each queue, several of which may have the same */
  constructor(load: Load, kickOf: (queue: number) => number) {
    this.#load = load;
    this.bytes = Math.ceil(memoryBytes(load) / 4096) * 4096;
    this.memory = checked('create a memory file', memfdCreate('driver', 1));
    checked('set its size', ftruncate(this.memory, this.bytes));
    this.#address = mapFile('map it', this.memory, this.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
    const buffer = viewMemory(this.#address, this.bytes);
    const memory = { buffer, u8: new Uint8Array(buffer) };
    this.queues = Array.from(
      { length: load.queues },
      (_, index) => new LoadedQueue(memory, index, load, kickOf(index)),
    );
    for (const [index, { call }] of this.queues.entries()) this.#poll.add(call, (EPOLLIN | EPOLLET) >>> 0, index);
  }

  /**
   * Keeps the queues full for so many seconds, after a while that does not count.
   * @param deviceThreads if there is a processor left, the driver does not sleep
   * @returns requests a second
   */
  measure(writing: boolean, seconds: number, deviceThreads: number): number {
    const spinning = processors > deviceThreads;
    driveQueues(this.queues, this.#poll, this.#load, writing, WARM_UP_SECONDS, spinning);
    const result = driveQueues(this.queues, this.#poll, this.#load, writing, seconds, spinning);
    return result.requests / result.seconds;
  }

  /** Closes it. The eventfds of the kicks remain open. */
  close(): void {
    this.#poll.close();
    for (const { call } of this.queues) close(call);
    unmap('unmap it', this.#address, this.bytes);
    close(this.memory);
  }
}
