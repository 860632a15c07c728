import assert from 'node:assert/strict';
import { QueueCounters } from '../../src/vduse/engine/counters.js';
import { InflightLog } from '../../src/vduse/engine/inflight-log.js';
import { DeviceQueue, type QueueOwner } from '../../src/vduse/engine/queue.js';
import { setUp, type Options } from './queue-and-driver.js';

/** A queue as a data plane gets it, with its driver and the interrupts that the driver has received. */
export function setUpDeviceQueue(
  options: Options & { readonly index?: number; readonly owner?: Partial<QueueOwner>; readonly log?: InflightLog } = {},
) {
  const parts = setUp(options);
  const interrupts: number[] = [];
  const counters = QueueCounters.at(QueueCounters.allocate(1), 0);
  const setup = { index: options.index ?? 0, layout: parts.layout, availableIndex: options.start ?? 0 };
  const log = options.log ?? InflightLog.inMemory(parts.layout.size);
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
  return { ...parts, queue, counters, interrupts };
}
