import { VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT } from '../../virtio/split-ring.js';
import type { Buffer as DriverBuffer } from '../../virtio/driver/ring-driver.js';
import type { Check } from '../check.js';
import { expectBytes, expectThat } from '../finding.js';
import type { CheckContext } from '../context.js';
import { WORK_SLOTS } from '../work.js';

const slotsUpTo = (count: number): number[] => Array.from({ length: count }, (_, slot) => slot);

/** As many requests as fit into a queue. */
function fullQueue({ driver, work }: CheckContext): number[] {
  return slotsUpTo(Math.min(WORK_SLOTS, Math.floor(driver.ring(work.queue).size / work.descriptors)));
}

/** Splits buffers into pieces: each has a descriptor of its own. */
function pieces(buffers: readonly DriverBuffer[], size: number): DriverBuffer[] {
  return buffers.flatMap((buffer) =>
    Array.from({ length: Math.ceil(buffer.length / size) }, (_, index) => ({
      ...buffer,
      iova: Number(buffer.iova) + index * size,
      length: Math.min(size, buffer.length - index * size),
    })),
  );
}

/** The checks of one form of the rings. */
function ringChecks(form: 'split' | 'packed'): readonly Check[] {
  const isPacked = form === 'packed';
  const features = isPacked ? ['RING_PACKED'] : [];
  const clauseOf = (split: string, packed: string): string => (isPacked ? packed : split);
  const requires = { type: 'any known', ...(isPacked && { features }) } as const;
  return [
    {
      name: `${form}-requests`,
      clause: clauseOf('2.7.8.2', '2.8.12'),
      rule: 'Every request is completed once, with a used length of at most what was written.',
      requires,
      run: (context) => {
        context.startWork({ features });
        for (let round = 0; round < 50; round++) context.exchange(`request ${round}`, [round]);
      },
    },
    {
      name: `${form}-full-queue`,
      clause: clauseOf('2.7.13', '2.8.21'),
      rule: 'A full queue is carried out, round after round, with one kick each.',
      requires,
      run: (context) => {
        context.startWork({ features });
        for (let round = 0; round < 20; round++) {
          const slots = fullQueue(context);
          context.exchange(`${slots.length} requests, which fill the queue, and one kick, round ${round}`, slots);
        }
      },
    },
    {
      name: `${form}-framing`,
      clause: '2.7.4.1',
      rule: 'A device makes no assumptions about the arrangement of descriptors.',
      requires: { ...requires, type: 'net' },
      run: (context) => {
        const { driver, work } = context;
        context.startWork({ features });
        for (const size of [1, 3, 12, 13]) {
          context.exchange(`a packet in pieces of ${size} bytes`, [0], (slot) => {
            const buffers = work.prepare(driver, slot);
            const cut = size === 1 ? [...pieces(buffers.slice(0, 1), 1), ...buffers.slice(1)] : pieces(buffers, size);
            return driver.ring(work.queue).chain(cut);
          });
        }
      },
    },
    {
      name: `${form}-indirect`,
      clause: clauseOf('2.7.5.3.2', '2.8.7'),
      rule: 'Chains through indirect tables are carried out, mixed with others.',
      requires: { type: 'any known', features: ['RING_INDIRECT_DESC', ...features] },
      run: (context) => {
        const { driver, work } = context;
        context.startWork({ features: ['RING_INDIRECT_DESC', ...features] });
        const ring = driver.ring(work.queue);
        const indirect = (slot: number): number =>
          ring.indirectChain(
            work.prepare(driver, slot),
            driver.indirectTable(work.queue) + slot * 16 * work.descriptors,
          );
        for (let round = 0; round < 5; round++) {
          context.exchange(`8 requests with indirect tables, round ${round}`, slotsUpTo(8), indirect);
          context.exchange(
            `8 requests, every other one with an indirect table, round ${round}`,
            slotsUpTo(8),
            (slot) => (slot % 2 === 0 ? indirect(slot) : context.chain(slot)),
          );
        }
      },
    },
    {
      name: `${form}-in-order`,
      clause: '6.2',
      rule: 'With IN_ORDER, buffers are used in the order in which they were made available.',
      requires: { type: 'any known', features: ['IN_ORDER', ...features] },
      run: (context) => {
        context.startWork({ features: ['IN_ORDER', ...features] });
        for (let round = 0; round < 20; round++) {
          const slots = slotsUpTo(8);
          const order = context.exchange('8 requests with IN_ORDER', slots);
          const expected = slots.join(' ');
          expectThat(order.join(' ') === expected, {
            sent: '8 requests with IN_ORDER',
            came: order.join(' '),
            expected,
          });
        }
      },
    },
  ];
}

/** Split and packed rings. */
export const allRingChecks: readonly Check[] = [
  ...ringChecks('split'),
  {
    name: 'split-descriptors-kept',
    clause: '2.7.5.1',
    rule: 'A device does not write to the descriptor table, or to the available ring.',
    requires: { type: 'any known' },
    run: (context) => {
      const { driver, work } = context;
      context.startWork();
      const { descriptorArea, deviceArea } = driver.splitRing(work.queue);
      const heads = new Map(slotsUpTo(8).map((slot) => [context.chain(slot), slot]));
      for (const head of heads.keys()) driver.ring(work.queue).offer(head);
      const bytes = driver.memory.u8.subarray(driver.at(descriptorArea), driver.at(deviceArea));
      const before = bytes.slice();
      driver.kick(work.queue);
      context.collect('8 requests', heads);
      expectBytes('8 requests, then compare the descriptors and the available ring', bytes.slice(), before);
    },
  },
  {
    name: 'split-indirect-after-chain',
    clause: '2.7.5.3.2',
    rule: 'A device handles normal descriptors that are followed by one with an indirect table.',
    requires: { type: 'any known', features: ['RING_INDIRECT_DESC'] },
    run: (context) => {
      const { driver, work } = context;
      context.startWork({ features: ['RING_INDIRECT_DESC'] });
      const ring = driver.splitRing(work.queue);
      context.exchange('a descriptor, then one with an indirect table for the rest', [0], (slot) => {
        const [first, ...rest] = work.prepare(driver, slot);
        const table = driver.indirectTable(work.queue);
        ring.chain([...(first ? [first] : []), { iova: table, length: rest.length * 16 }]);
        ring.indirectChainAt(1, rest, table);
        if (first) ring.descriptor(0, first.iova, first.length, VRING_DESC_F_NEXT, 1);
        ring.descriptor(1, table, rest.length * 16, VRING_DESC_F_INDIRECT);
        return 0;
      });
    },
  },
  ...ringChecks('packed'),
];
