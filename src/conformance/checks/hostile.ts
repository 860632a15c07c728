import { VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT } from '../../virtio/split-ring.js';
import { BASE, MEMORY_BYTES } from '../../vhost/driver.js';
import type { Check, Requirements } from '../check.js';
import type { CheckContext } from '../context.js';
import { SPARE } from '../work.js';

/** Where nothing is mapped. */
const NOWHERE = 0x9000_0000;
/** How long a device has time to do something wrong, in milliseconds. */
const LOOK_MS = 100;

/** An attack on a started device: whatever it does then, it must work after a reset. */
interface Attack {
  readonly name: string;
  readonly what: string;
  readonly features?: readonly string[];
  readonly run: (context: CheckContext) => void;
}

const splitAttacks: readonly Attack[] = [
  {
    name: 'head',
    what: 'a head outside the table',
    run: ({ driver, work }) => {
      driver.splitRing(work.queue).offer(driver.ring(work.queue).size + 5);
    },
  },
  {
    name: 'index',
    what: 'an available index that jumps further than the queue is long',
    run: ({ driver, work }) => {
      driver.splitRing(work.queue).setAvailableIndex(0x7000);
    },
  },
  {
    name: 'loop',
    what: 'a chain that is a loop',
    run: ({ driver, work }) => {
      const ring = driver.splitRing(work.queue);
      ring.descriptor(0, SPARE, 16, VRING_DESC_F_NEXT, 1);
      ring.descriptor(1, SPARE, 16, VRING_DESC_F_NEXT, 0);
      ring.offer(0);
    },
  },
  {
    name: 'next',
    what: 'a chain that goes on outside the table',
    run: ({ driver, work }) => {
      const ring = driver.splitRing(work.queue);
      ring.descriptor(0, SPARE, 16, VRING_DESC_F_NEXT, 0xfff0);
      ring.offer(0);
    },
  },
  {
    name: 'indirect-nested',
    what: 'an indirect table in an indirect table',
    features: ['RING_INDIRECT_DESC'],
    run: ({ driver, work }) => {
      const ring = driver.splitRing(work.queue);
      const table = driver.indirectTable(work.queue);
      ring.descriptor(0, table, 16, VRING_DESC_F_INDIRECT);
      ring.descriptor(0, table, 16, VRING_DESC_F_INDIRECT, 0, table);
      ring.offer(0);
    },
  },
  {
    name: 'indirect-length',
    what: 'an indirect table with a part of a descriptor',
    features: ['RING_INDIRECT_DESC'],
    run: ({ driver, work }) => {
      const ring = driver.splitRing(work.queue);
      ring.descriptor(0, driver.indirectTable(work.queue), 17, VRING_DESC_F_INDIRECT);
      ring.offer(0);
    },
  },
];

const anyAttacks: readonly Attack[] = [
  {
    name: 'address',
    what: 'buffers where nothing is mapped',
    run: ({ driver, work }) => {
      const ring = driver.ring(work.queue);
      ring.offer(
        ring.chain([
          { iova: NOWHERE, length: 16 },
          { iova: NOWHERE, length: 513, writable: true },
        ]),
      );
    },
  },
  {
    name: 'address-wraps',
    what: 'a buffer past the end of all addresses',
    run: ({ driver, work }) => {
      const ring = driver.ring(work.queue);
      ring.offer(ring.chain([{ iova: 2n ** 64n - 8n, length: 0xffff_ffff }]));
    },
  },
  {
    name: 'length',
    what: 'buffers of 4 GiB, and of no length',
    run: ({ driver, work }) => {
      const ring = driver.ring(work.queue);
      ring.offer(ring.chain([{ iova: SPARE, length: 0xffff_ffff }]));
      ring.offer(ring.chain([{ iova: SPARE, length: 0 }]));
    },
  },
  {
    name: 'directions',
    what: 'buffers with the wrong directions',
    run: ({ driver, work }) => {
      const ring = driver.ring(work.queue);
      ring.offer(
        ring.chain([
          { iova: SPARE, length: 16, writable: true },
          { iova: SPARE + 16, length: 513 },
        ]),
      );
    },
  },
  {
    name: 'unmapped-under-load',
    what: 'all memory is unmapped while requests are in flight',
    run: (context) => {
      context.offer(Array.from({ length: 16 }, (_, slot) => slot));
      context.kick();
      context.vhost.unmap(BASE, MEMORY_BYTES);
      context.kick();
    },
  },
  {
    name: 'reset-under-load',
    what: 'a reset while requests are in flight',
    run: (context) => {
      context.offer(Array.from({ length: 16 }, (_, slot) => slot));
      context.kick();
      context.vhost.status = 0;
    },
  },
];

function hostileCheck({ name, what, features = [], run }: Attack, form: 'split' | 'packed'): Check {
  const accepted = form === 'packed' ? ['RING_PACKED', ...features] : features;
  const requires: Requirements = { type: 'any known', features: accepted };
  return {
    name: `hostile-${form}-${name}`,
    clause: '2.4.1',
    rule: `A device works again when it was reset, after ${what}.`,
    requires,
    isHostile: true,
    run: (context) => {
      const { driver, vhost } = context;
      try {
        context.startWork({ features: accepted });
        run(context);
        context.kick();
        driver.clearCall(context.work.queue, LOOK_MS);
      } finally {
        vhost.status = 0;
        vhost.unmap(BASE, MEMORY_BYTES);
        vhost.map(BASE, MEMORY_BYTES, driver.memory.address);
      }
      context.expectAlive(what);
    },
  };
}

/** What a broken driver does. */
export const hostileChecks: readonly Check[] = [
  ...[...splitAttacks, ...anyAttacks].map((attack) => hostileCheck(attack, 'split')),
  ...anyAttacks.map((attack) => hostileCheck(attack, 'packed')),
];
