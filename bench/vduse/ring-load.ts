/** A driver through vhost-vdpa that keeps the queues of a block device full. The lab's own driver has only one queue. */
import { EPOLLET, EPOLLIN, EventPoll } from '../../src/sys/events.js';
import { VhostVdpa } from '../../src/vhost/device.js';
import { DriverMemory } from '../../src/vhost/memory.js';
import { VHOST_BACKEND_F_IOTLB_MSG_V2 } from '../../src/vhost/uapi.js';
import { base, driveQueues, LoadedQueue, memoryBytes, queueSize, type Load } from './loaded-queue.js';

/** ACKNOWLEDGE and DRIVER, then FEATURES_OK, then DRIVER_OK. */
const statusSteps = [3, 11, 15];

/** Random reads or writes of 4 KiB for this many seconds. @returns the number of requests, and the seconds they took */
export function loadQueues(
  node: string,
  load: Load,
  writing: boolean,
  seconds: number,
): { readonly requests: number; readonly seconds: number } {
  // Every device supports it, whatever its server.
  const vhost = new VhostVdpa(node, { backendFeatures: 1n << VHOST_BACKEND_F_IOTLB_MSG_V2 });
  const memory = new DriverMemory(memoryBytes(load));
  const queues = Array.from({ length: load.queues }, (_, index) => new LoadedQueue(memory, index, load));
  const poll = new EventPoll();
  try {
    vhost.map(base, memory.length, memory.address);
    vhost.status = 0;
    for (const status of statusSteps) {
      if (status === 11) vhost.setFeatures(vhost.features());
      if (status === 15) {
        for (const [index, { ring, call, kick }] of queues.entries()) {
          vhost.setQueueSize(index, queueSize);
          vhost.setQueueBase(index, 0);
          vhost.setQueueAddress(index, ring.descriptorArea, ring.driverArea, ring.deviceArea);
          vhost.setCall(index, call);
          vhost.setKick(index, kick);
          vhost.enable(index, true);
          poll.add(call, (EPOLLIN | EPOLLET) >>> 0, index);
        }
      }
      vhost.status = status;
    }
    return driveQueues(queues, poll, load, writing, seconds);
  } finally {
    vhost.status = 0;
    vhost.close();
    memory.free();
    poll.close();
    for (const queue of queues) queue.close();
  }
}
