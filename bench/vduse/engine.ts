/** The engine alone, with its storage: no kernel's device, no lab. */
import { once } from 'node:events';
import { MessageChannel, Worker } from 'node:worker_threads';
import { openEventfd, signalEventfd } from '../../src/sys/events.js';
import { close } from '../../src/sys/libc.js';
import { blockLimits } from '../../src/vduse/block/identity.js';
import type { BlockModuleOptions } from '../../src/vduse/block/module.js';
import { Storage } from '../../src/vduse/block/storage.js';
import { QueueCounters } from '../../src/vduse/engine/counters.js';
import { MappingTable } from '../../src/vduse/engine/mappings.js';
import { threadWord, type Command } from '../../src/vduse/engine/thread.js';
import type { BlockBackendOptions } from '../../src/vduse/spec/backend.js';
import { WRAP_COUNTER } from '../../src/virtio/packed-ring.js';
import type { EngineThreadOptions } from './engine-thread.js';
import { queueSize, type Load } from './loaded-queue.js';
import { MemoryDriver } from './memory-driver.js';

export interface EngineOptions {
  readonly backend: BlockBackendOptions;
  readonly queues: number;
  readonly depth: number;
  readonly threads: number;
  readonly packed?: boolean;
  /** Busy threads besides the driver, which does not sleep if there is a processor left; `threads` by default. */
  readonly deviceThreads?: number;
  /** The processor of its threads. */
  readonly processor?: number;
}

/** Random reads or writes of 4 KiB, for so many seconds. @returns requests a second */
export async function measureEngine(options: EngineOptions, writing: boolean, seconds: number): Promise<number> {
  const { backend, threads, packed = false, processor } = options;
  const storage = await Storage.open(backend, { blockSize: undefined, readonly: false, threads });
  const load: Load = { ...options, size: storage.size };
  const plane: BlockModuleOptions = { limits: blockLimits(storage, 'engine'), backend: storage.backend };
  const kicks = Array.from({ length: threads }, openEventfd);
  const driver = new MemoryDriver(load, (queue) => kicks[queue % threads] ?? -1);
  const counters = QueueCounters.allocate(load.queues);
  const shared = new SharedArrayBuffer(64);
  const engines = await Promise.all(
    kicks.map(async (kick, thread) => {
      const { port1, port2 } = new MessageChannel();
      const words = new SharedArrayBuffer(threadWord.length * 4);
      const workerOptions: EngineThreadOptions = {
        plane,
        queues: driver.queues.flatMap((_, index) => (index % threads === thread ? [index] : [])),
        queueCount: load.queues,
        memory: driver.memory,
        memoryBytes: driver.bytes,
        kick,
        calls: driver.queues.map(({ call }) => call),
        commands: port2,
        words,
        mappings: MappingTable.allocate().shared,
        counters,
        shared,
        packed,
        processor,
      };
      const worker = new Worker(new URL('./engine-thread.js', import.meta.url), {
        workerData: workerOptions,
        transferList: [port2],
        trackUnmanagedFds: false,
      });
      await once(worker, 'message');
      const send = (command: Command): void => {
        port1.postMessage(command);
        Atomics.add(new Int32Array(words), threadWord.commands, 1);
        signalEventfd(kick);
      };
      return { worker, send, own: workerOptions.queues, port: port1 };
    }),
  );
  for (const { send, own } of engines) {
    const setups = own.map((index) => {
      const ring = driver.queues[index]?.ring;
      if (!ring) throw new Error(`there is no queue ${index}`);
      const { descriptorArea, driverArea, deviceArea } = ring;
      const layout = { packed, size: queueSize, descriptorArea, driverArea, deviceArea };
      return {
        index,
        position: packed ? WRAP_COUNTER : 0,
        resume: false,
        layout: { ...layout, eventIndex: true, indirect: false, maxChain: queueSize },
      };
    });
    send({ type: 'start', features: (1n << 9n) | (1n << 29n), queues: setups });
  }
  const rate = driver.measure(writing, seconds, options.deviceThreads ?? threads);
  for (const { send, worker, port } of engines) {
    send({ type: 'exit', ticket: 1 });
    await once(worker, 'exit');
    port.close();
  }
  await storage.close();
  driver.close();
  for (const kick of kicks) close(kick);
  return rate;
}
