import assert from 'node:assert/strict';
import { QueueCounters } from '../../src/vduse/engine/counters.js';
import { InflightLog } from '../../src/vduse/engine/inflight-log.js';
import { DeviceQueue, type QueueOwner } from '../../src/vduse/engine/queue.js';
import { setUpDriver, type Options } from './queue-and-driver.js';

/** A queue as a data plane gets it, with its driver and the interrupts that the driver has received. */
export function setUpDeviceQueue(
  options: Options & { readonly index?: number; readonly owner?: Partial<QueueOwner>; readonly log?: InflightLog } = {},
) {
  const parts = setUpDriver(options);
  const interrupts: number[] = [];
  const counters = QueueCounters.at(QueueCounters.allocate(1), 0);
  const { layout, position } = parts;
  const setup = { index: options.index ?? 0, layout, position, resume: false };
  const log = options.log ?? InflightLog.inMemory(layout.size, layout.packed);
  const owner: QueueOwner = {
    memory: parts.memory,
    interrupt: (index) => {
      interrupts.push(index);
      return 'sent';
    },
    isRevoked: () => false,
    hasPendingCommand: () => false,
    ...options.owner,
  };
  const queue = new DeviceQueue(setup, counters, owner, log);
  assert.ok(queue.map());
  return { ...parts, queue, counters, interrupts, log };
}
