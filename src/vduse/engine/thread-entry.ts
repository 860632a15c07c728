/** Entry point of a data thread. */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { useGuardedCopies } from '../../sys/guarded-copy.js';
import type { MemoryGuard } from '../../sys/memory-guard.js';
import type { CreateDataPlane } from './data-plane.js';
import { DataThread, type ThreadMessage, type Watched } from './thread.js';
import { VduseDevice } from '../kernel/device.js';
import { vduseInterrupt } from '../kernel/interrupt.js';
import type { SharedMappings } from './mappings.js';

/** Start-up data of a data thread. */
export interface DataThreadOptions {
  readonly module: string;
  readonly options: unknown;
  readonly deviceFd: number;
  readonly apiVersion: bigint;
  readonly queueCount: number;
  readonly queueSize: number;
  readonly queues: readonly number[];
  readonly kick: number;
  readonly commands: MessagePort;
  readonly words: SharedArrayBuffer;
  readonly mappings: SharedMappings;
  readonly counters: SharedArrayBuffer;
  readonly shared: SharedArrayBuffer;
  readonly guard: MemoryGuard | undefined;
}

const start = workerData as DataThreadOptions;
const notify = (notice: ThreadMessage): void => {
  parentPort?.postMessage(notice);
};

if (start.guard) useGuardedCopies(start.guard.copies);
const { createDataPlane } = (await import(start.module)) as { createDataPlane: CreateDataPlane<unknown, unknown> };
const watched: Watched[] = [];
const plane = await createDataPlane(start.options, {
  queueCount: start.queueCount,
  queueSize: start.queueSize,
  queues: start.queues,
  shared: new Int32Array(start.shared),
  watch: (fd, readable) => void watched.push({ fd, readable }),
});
const thread = new DataThread({
  ...start,
  device: new VduseDevice(start.deviceFd, start.apiVersion),
  interrupt: vduseInterrupt(start.deviceFd),
  plane,
  watched,
  notify,
});
notify({ type: 'ready' });
await thread.run();
