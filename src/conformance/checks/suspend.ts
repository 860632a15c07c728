import { VHOST_BACKEND_F_RESUME, VHOST_BACKEND_F_SUSPEND } from '../../vhost/uapi.js';
import type { Check } from '../check.js';
import { expectEqual } from '../finding.js';

const SUSPEND = { bit: VHOST_BACKEND_F_SUSPEND, name: 'SUSPEND' } as const;
const RESUME = { bit: VHOST_BACKEND_F_RESUME, name: 'RESUME' } as const;

/** Suspend, resume and the state of queues: include/uapi/linux/vhost.h. */
export const suspendChecks: readonly Check[] = [
  {
    name: 'suspend-stops',
    clause: '2.4.1',
    rule: 'A suspended device takes no buffers, and all that it took is completed (VHOST_VDPA_SUSPEND).',
    requires: { type: 'any known', backend: [SUSPEND] },
    run: (context) => {
      const { vhost, work } = context;
      context.startWork();
      context.exchange('requests before the device is suspended', [0, 1, 2]);
      vhost.suspend();
      context.offer([3]);
      context.kick();
      context.expectNothing('a chain and a kick to a suspended device');
      expectEqual('read the state of the queue of a suspended device', vhost.queueBase(work.queue), 3);
      vhost.status = 0;
      context.expectAlive('it was suspended');
    },
  },
  {
    name: 'suspend-state-under-load',
    clause: '2.4.1',
    rule: 'The state of a queue of a suspended device is where the used ring ends, and it continues from there.',
    requires: { type: 'any known', backend: [SUSPEND] },
    run: (context) => {
      const { vhost, driver, work } = context;
      for (let round = 0; round < 10; round++) {
        context.startWork();
        const slots = Array.from({ length: 16 }, (_, slot) => slot);
        context.offer(slots);
        context.kick();
        vhost.suspend();
        const base = vhost.queueBase(work.queue);
        const { usedIndex } = driver.splitRing(work.queue);
        expectEqual('suspend a device with 16 requests: the state of the queue', base, usedIndex);
      }
      context.expectAlive('it was suspended');
    },
  },
  {
    name: 'suspend-resume',
    clause: '2.4.1',
    rule: 'A resumed device carries out what was made available meanwhile (VHOST_VDPA_RESUME).',
    requires: { type: 'any known', backend: [SUSPEND, RESUME] },
    run: (context) => {
      const { vhost } = context;
      context.startWork();
      for (let round = 0; round < 10; round++) {
        vhost.suspend();
        const waiting = context.offer([0, 1, 2, 3]);
        context.kick();
        context.expectNothing('chains and a kick to a suspended device');
        vhost.resume();
        context.collect(`4 requests to a suspended device, then resume, round ${round}`, waiting);
      }
    },
  },
];
