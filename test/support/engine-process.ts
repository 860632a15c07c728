/**
 * A data thread in a process of its own, to be killed: a block device without a kernel's device. Its driver, the parent
 * process, has passed an eventfd for kicks, one for interrupts, the driver's memory and the inflight log as descriptors.
 */
import { MessageChannel } from 'node:worker_threads';
import { signalEventfd } from '../../src/sys/events.js';
import { checked, libc } from '../../src/sys/libc.js';
import { blockLimits } from '../../src/vduse/block/identity.js';
import { createDataPlane } from '../../src/vduse/block/module.js';
import { Storage } from '../../src/vduse/block/storage.js';
import { QueueCounters } from '../../src/vduse/engine/counters.js';
import { mapInflightLogs } from '../../src/vduse/engine/inflight-file.js';
import { InflightLog } from '../../src/vduse/engine/inflight-log.js';
import { MappingTable } from '../../src/vduse/engine/mappings.js';
import { DataThread, threadWord, type Command } from '../../src/vduse/engine/thread.js';
import type { AioMode } from '../../src/vduse/spec/fields.js';
import { WRAP_COUNTER } from '../../src/virtio/packed-ring.js';
import type { QueueLayout } from '../../src/virtio/virtqueue.js';

export const KICK = 3;
export const CALL = 4;
export const MEMORY = 5;
export const INFLIGHT = 6;

export interface EngineProcessOptions {
  readonly path: string;
  readonly aio: AioMode;
  /** No log outlives it: it completes requests in order. */
  readonly ordered: boolean;
  /** The IOVA and length of the memory. */
  readonly base: number;
  readonly length: number;
  readonly layout: QueueLayout;
  /** Continues where another process has ended. */
  readonly resume: boolean;
}

const dup: (fd: number) => number = libc.func('int dup(int fd)');
const { path, aio, ordered, base, length, layout, resume } = JSON.parse(process.argv[2] ?? '') as EngineProcessOptions;
const queueSize = layout.size;
const storage = await Storage.open({ type: 'file', path, aio }, { blockSize: undefined, readonly: false, threads: 1 });
const plane = await createDataPlane(
  { limits: blockLimits(storage, 'engine'), backend: storage.backend },
  { queueCount: 1, queueSize, queues: [0], ordered, shared: new Int32Array(16), watch: () => undefined },
);
const { port1, port2 } = new MessageChannel();
const words = new SharedArrayBuffer(threadWord.length * 4);
const thread = new DataThread({
  device: {
    iotlbEntry: () => ({
      fd: checked('duplicate a descriptor', dup(MEMORY)),
      offset: 0n,
      start: BigInt(base),
      last: BigInt(base + length - 1),
      readable: true,
      writable: true,
    }),
  },
  interrupt: () => {
    signalEventfd(CALL);
    return 'sent';
  },
  plane,
  kick: KICK,
  commands: port2,
  words,
  mappings: MappingTable.allocate().shared,
  counters: QueueCounters.allocate(1),
  logs: ordered
    ? [InflightLog.inMemory(queueSize)]
    : mapInflightLogs(INFLIGHT, { queueCount: 1, queueSize, packed: layout.packed }),
  watched: [],
  guard: undefined,
  notify: () => undefined,
});
const start: Command = {
  type: 'start',
  features: 1n << 9n,
  queues: [{ index: 0, layout, position: layout.packed ? WRAP_COUNTER : 0, resume }],
};
port1.postMessage(start);
Atomics.add(new Int32Array(words), threadWord.commands, 1);
process.stdout.write('ready\n');
await thread.run();
