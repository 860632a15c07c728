/** Entry point of a data thread. */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { runOn } from '../../sys/affinity.js';
import { useGuardedCopies } from '../../sys/guarded-copy.js';
import type { MemoryGuard } from '../../sys/memory-guard.js';
import type { CreateDataPlane } from './data-plane.js';
import { mapInflightLogs } from './inflight-file.js';
import { InflightLog } from './inflight-log.js';
import { DataThread, type ThreadMessage, type Watched } from './thread.js';
import { VduseError } from '../error.js';
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
  /** Whether the driver may make its queues packed. */
  readonly packed: boolean;
  readonly queues: readonly number[];
  readonly kick: number;
  readonly commands: MessagePort;
  readonly words: SharedArrayBuffer;
  readonly mappings: SharedMappings;
  readonly counters: SharedArrayBuffer;
  readonly shared: SharedArrayBuffer;
  /** The descriptor of an InflightFile; undefined if no other server follows. */
  readonly inflight: number | undefined;
  readonly guard: MemoryGuard | undefined;
  /** The processor that it runs on; undefined for any. */
  readonly processor: number | undefined;
}

// The host starts this thread with them.
const start = workerData as DataThreadOptions;
const notify = (notice: ThreadMessage): void => {
  parentPort?.postMessage(notice);
};

if (start.processor !== undefined) runOn(start.processor);
if (start.guard) useGuardedCopies(start.guard.copies);
const module: unknown = await import(start.module);
if (!isDataPlaneModule(module)) throw new VduseError(`${start.module} does not export a function createDataPlane`);
const watched: Watched[] = [];
const plane = await module.createDataPlane(start.options, {
  queueCount: start.queueCount,
  queueSize: start.queueSize,
  queues: start.queues,
  ordered: start.inflight === undefined,
  shared: new Int32Array(start.shared),
  watch: (fd, readable) => void watched.push({ fd, readable }),
});

function isDataPlaneModule(loaded: unknown): loaded is { readonly createDataPlane: CreateDataPlane<unknown, unknown> } {
  return (
    typeof loaded === 'object' &&
    loaded !== null &&
    'createDataPlane' in loaded &&
    typeof loaded.createDataPlane === 'function'
  );
}

/** The logs of the queues, for a data plane that completes chains in any order, or for packed queues. */
function openLogs(): InflightLog[] {
  const { inflight, queueCount, queueSize, packed } = start;
  if (plane.outOfOrder !== true && !packed) return [];
  if (inflight !== undefined) return mapInflightLogs(inflight, start);
  return Array.from({ length: queueCount }, () => InflightLog.inMemory(queueSize, packed));
}

const thread = new DataThread({
  ...start,
  device: new VduseDevice(start.deviceFd, start.apiVersion),
  interrupt: vduseInterrupt(start.deviceFd),
  plane,
  watched,
  logs: openLogs(),
  notify,
});
notify({ type: 'ready' });
await thread.run();
