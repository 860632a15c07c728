import { MessageChannel } from 'node:worker_threads';
import { openEventfd, signalEventfd } from '../../../src/sys/events.js';
import { ftruncate, memfdCreate } from '../../../src/sys/file.js';
import { checked, close, libc } from '../../../src/sys/libc.js';
import { MAP_SHARED, mapFile, PROT_READ, PROT_WRITE, viewMemory } from '../../../src/sys/memory.js';
import { QueueCounters } from '../../../src/vduse/engine/counters.js';
import type { DataPlane } from '../../../src/vduse/engine/data-plane.js';
import { InflightLog } from '../../../src/vduse/engine/inflight-log.js';
import { MappingTable } from '../../../src/vduse/engine/mappings.js';
import type { QueueSetup } from '../../../src/vduse/engine/queue.js';
import {
  DataThread,
  threadWord,
  type Command,
  type ThreadMessage,
  type Watched,
} from '../../../src/vduse/engine/thread.js';
import type { IotlbEntry } from '../../../src/vduse/kernel/device.js';
import type { Interrupt } from '../../../src/vduse/kernel/interrupt.js';
import { WRAP_COUNTER } from '../../../src/virtio/packed-ring.js';
import { defaultForm } from '../../support/queue-and-driver.js';
import { createDriver } from '../../../src/virtio/driver/create-driver.js';
import type { RingDriver } from '../../../src/virtio/driver/ring-driver.js';

/** The start of the driver's memory. */
export const BASE = 0x10000;
/** The start of its buffers. */
export const BUFFERS = 0x18000;
const BYTES = 0x10000;
const dup: (fd: number) => number = libc.func('int dup(int fd)');

/** A data thread, run by the thread of the test, whose driver has a memory file mapped at {@link BASE}. */
export class ThreadUnderTest {
  readonly driver: RingDriver;
  readonly counters = QueueCounters.allocate(2);
  readonly notices: ThreadMessage[] = [];
  /** How often the thread has looked up the driver's memory. */
  lookUps = 0;
  /** Whether the kernel has a mapping for it at a lookup. */
  isMapped: () => boolean = () => true;
  readonly #memory: number;
  readonly #kick = openEventfd();
  readonly #words = new SharedArrayBuffer(threadWord.length * 4);
  readonly #table = MappingTable.allocate();
  readonly #channel = new MessageChannel();
  readonly #thread: DataThread;

  /** @param serve serves a queue; see DataPlane */
  constructor(
    plane: Pick<DataPlane, 'serve'> & Partial<DataPlane>,
    options: {
      readonly watched?: readonly Watched[];
      readonly interrupt?: Interrupt;
      readonly logs?: readonly InflightLog[];
    } = {},
  ) {
    this.#memory = checked('make a memory file', memfdCreate('driver', 1));
    checked('size it', ftruncate(this.#memory, BYTES));
    const address = mapFile('map it', this.#memory, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
    const { packed } = defaultForm;
    const buffer = viewMemory(address, BYTES);
    this.driver = createDriver(packed, { buffer, base: BASE, iova: BASE, size: 8, start: 0 });
    this.#thread = new DataThread({
      device: { iotlbEntry: () => this.#entry() },
      interrupt: options.interrupt ?? (() => 'sent'),
      plane: { start: () => undefined, close: () => undefined, ...plane },
      kick: this.#kick,
      commands: this.#channel.port2,
      words: this.#words,
      mappings: this.#table.shared,
      counters: this.counters,
      logs: options.logs ?? (packed ? [InflightLog.inMemory(8, true)] : []),
      watched: options.watched ?? [],
      guard: undefined,
      notify: (notice) => void this.notices.push(notice),
    });
  }

  #entry(): IotlbEntry | undefined {
    this.lookUps++;
    if (!this.isMapped()) return undefined;
    const fd = checked('duplicate a descriptor', dup(this.#memory));
    return { fd, offset: 0n, start: BigInt(BASE), last: BigInt(BASE + BYTES - 1), readable: true, writable: true };
  }

  /** The only queue of the driver. */
  setup(position = this.driver.packed ? WRAP_COUNTER : 0): QueueSetup {
    const { packed, size, descriptorArea, driverArea, deviceArea } = this.driver;
    const areas = { descriptorArea, driverArea, deviceArea };
    const layout = { packed, size, ...areas, eventIndex: false, indirect: false, maxChain: 8 };
    return { index: 0, layout, position, resume: false };
  }

  /** What the thread says about its transfers: chains in flight, completions, whether memory is pinned. */
  get transferWords(): number[] {
    const words = new Int32Array(this.#words);
    return [threadWord.inFlight, threadWord.completions, threadWord.pinned].map((word) => Atomics.load(words, word));
  }

  /** What the main thread does with a command. */
  send(...commands: readonly Command[]): void {
    for (const command of commands) {
      this.#channel.port1.postMessage(command);
      Atomics.add(new Int32Array(this.#words), threadWord.commands, 1);
    }
    signalEventfd(this.#kick);
  }

  /** What the driver does after it has made requests available. */
  kick(): void {
    signalEventfd(this.#kick);
  }

  /** What the main thread does with a thread that does not answer. */
  revoke(): void {
    Atomics.add(new Int32Array(this.#words), threadWord.revocations, 1);
    this.#table.revokeAll();
  }

  /** Makes a request available. */
  offer(): void {
    this.driver.offer(this.driver.chain([{ iova: BUFFERS, length: 16 }]));
  }

  /** Runs the thread until it gets the command to exit. */
  async run(): Promise<void> {
    await this.#thread.run();
    this.#channel.port1.close();
    this.#table.free();
    close(this.#kick);
    close(this.#memory);
  }
}
