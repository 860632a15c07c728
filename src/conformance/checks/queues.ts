import { Errno } from '../../sys/errno.js';
import { SystemError } from '../../sys/error.js';
import { MAX_QUEUE_SIZE } from '../../virtio/split-ring.js';
import { DRIVER_OK, MAX_DRIVER_QUEUE } from '../../vhost/driver.js';
import type { Check } from '../check.js';
import { CheckFailure, expectThat, NotApplicable } from '../finding.js';
import { WORK_SLOTS } from '../work.js';

/** Runs a request of the kernel that has to fail. */
function expectError(sent: string, errnos: readonly number[], call: () => void): void {
  try {
    call();
  } catch (error) {
    if (error instanceof SystemError && errnos.includes(error.errno)) return;
    throw error;
  }
  throw new CheckFailure({ sent, came: 'success', expected: 'an error' });
}

/** Numbers, sizes and addresses of queues. */
export const queueChecks: readonly Check[] = [
  {
    name: 'queue-size-limits',
    clause: '2.7',
    rule: 'The largest queue size is a power of two of at most 32768, and larger sizes are refused.',
    run: ({ vhost, target: { queueSize } }) => {
      const isValid = queueSize >= 1 && queueSize <= MAX_QUEUE_SIZE && (queueSize & (queueSize - 1)) === 0;
      const expected = 'a power of two from 1 to 32768';
      expectThat(isValid, { sent: 'read the largest queue size', came: `${queueSize}`, expected });
      for (const size of [0, queueSize * 2]) {
        expectError(`set queue size ${size}`, [Errno.EINVAL], () => {
          vhost.setQueueSize(0, size);
        });
      }
    },
  },
  {
    name: 'queue-count',
    clause: '2.6',
    rule: 'The device has the queues that it says, and no more.',
    run: ({ vhost, target: { queues, queueSize } }) => {
      expectThat(queues >= 1, { sent: 'count the queues', came: `${queues}`, expected: 'at least one' });
      for (let queue = 0; queue < queues; queue++) vhost.setQueueSize(queue, queueSize);
      expectError(`use queue ${queues}, which is not there`, [Errno.ENOBUFS], () => {
        vhost.setQueueSize(queues, queueSize);
      });
    },
  },
  {
    name: 'queue-sizes',
    clause: '2.7',
    rule: 'Requests are carried out with queues of every size up to the largest.',
    requires: { type: 'any known' },
    run: (context) => {
      const { target, work } = context;
      const largest = Math.min(target.queueSize, MAX_DRIVER_QUEUE);
      for (let queueSize = 4; queueSize <= largest; queueSize *= 2) {
        context.startWork({ queueSize });
        // Round the ring more than once: the index wraps at the size, not at the largest size.
        const together = Math.max(1, Math.min(WORK_SLOTS, Math.floor(queueSize / work.descriptors)));
        for (let round = 0; round < 3; round++) {
          const slots = Array.from({ length: together }, (_, slot) => slot);
          context.exchange(`${together} requests on a queue of ${queueSize}, round ${round}`, slots);
        }
      }
    },
  },
  {
    name: 'queue-addresses-unaligned',
    clause: '2.7',
    rule: 'Rings that are not aligned for their fields are refused.',
    run: ({ vhost, driver }) => {
      driver.prepare({ queueSize: 4, features: (offered) => offered });
      const { descriptorArea, driverArea, deviceArea } = driver.ring();
      expectError('set an available ring at an odd address', [Errno.EINVAL], () => {
        vhost.setQueueAddress(0, descriptorArea, driverArea + 1, deviceArea);
      });
      expectError('set a used ring that is not aligned for 32 bits', [Errno.EINVAL], () => {
        vhost.setQueueAddress(0, descriptorArea, driverArea, deviceArea + 2);
      });
    },
  },
  {
    name: 'queue-starts-later',
    clause: '2.7',
    rule: 'A split queue begins at the index that the driver sets.',
    requires: { type: 'any known' },
    run: (context) => {
      const { driver, vhost, work } = context;
      for (const base of [1, 65530]) {
        context.prepare();
        const ring = driver.splitRing(work.queue);
        try {
          vhost.setQueueBase(work.queue, base);
        } catch (error) {
          if (!(error instanceof SystemError && error.errno === Errno.EOPNOTSUPP)) throw error;
          throw new NotApplicable('the driver of this device cannot set the index');
        }
        ring.setAvailableIndex(base);
        ring.usedIndex = base;
        ring.seenUsed = base;
        driver.enableQueues(false);
        driver.enableQueues(true);
        vhost.status = DRIVER_OK;
        work.begin(driver);
        for (let round = 0; round < 10; round++) {
          context.exchange(`a request on a queue that began at index ${base}, for the time ${round + 1}`, [round]);
        }
      }
    },
  },
];
