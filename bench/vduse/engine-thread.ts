/** A data thread without a kernel's device: its driver shares a memory file with it, and each interrupt is an eventfd. */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { runOn } from '../../src/sys/affinity.js';
import { signalEventfd } from '../../src/sys/events.js';
import { checked, libc } from '../../src/sys/libc.js';
import { createDataPlane, type BlockModuleOptions } from '../../src/vduse/block/module.js';
import { InflightLog } from '../../src/vduse/engine/inflight-log.js';
import type { SharedMappings } from '../../src/vduse/engine/mappings.js';
import { DataThread } from '../../src/vduse/engine/thread.js';
import { base, queueSize } from './loaded-queue.js';

export interface EngineThreadOptions {
  readonly plane: BlockModuleOptions;
  /** The queues that it serves. */
  readonly queues: readonly number[];
  readonly queueCount: number;
  /** The memory file. */
  readonly memory: number;
  readonly memoryBytes: number;
  readonly kick: number;
  /** The eventfd of each queue. */
  readonly calls: readonly number[];
  readonly commands: MessagePort;
  readonly words: SharedArrayBuffer;
  readonly mappings: SharedMappings;
  readonly counters: SharedArrayBuffer;
  readonly shared: SharedArrayBuffer;
  readonly packed: boolean;
  /** The only one that it runs on. */
  readonly processor: number | undefined;
}

const dup: (fd: number) => number = libc.func('int dup(int fd)');
const start = workerData as EngineThreadOptions;
if (start.processor !== undefined) runOn(start.processor);
const plane = await createDataPlane(start.plane, {
  queueCount: start.queueCount,
  queueSize,
  queues: start.queues,
  ordered: false,
  shared: new Int32Array(start.shared),
  watch: () => undefined,
});
const thread = new DataThread({
  ...start,
  device: {
    iotlbEntry: () => ({
      fd: checked('duplicate a descriptor', dup(start.memory)),
      offset: 0n,
      start: BigInt(base),
      last: BigInt(base + start.memoryBytes - 1),
      readable: true,
      writable: true,
    }),
  },
  interrupt: (queue) => {
    signalEventfd(start.calls[queue] ?? -1);
    return 'sent';
  },
  plane,
  logs: Array.from({ length: start.queueCount }, () => InflightLog.inMemory(queueSize, start.packed)),
  watched: [],
  guard: undefined,
  notify: (message) => parentPort?.postMessage(message),
});
parentPort?.postMessage({ type: 'ready' });
await thread.run();
