import { VRING_USED_F_NO_NOTIFY } from '../../virtio/split-ring.js';
import type { Check } from '../check.js';
import { CheckFailure, expectEqual } from '../finding.js';
import { QUIET_MS, REPLY_MS, type CheckContext } from '../context.js';

/** @throws CheckFailure without an interrupt */
function expectInterrupt({ driver, work }: CheckContext, sent: string): void {
  if (driver.clearCall(work.queue, REPLY_MS)) return;
  throw new CheckFailure({ sent, came: `no interrupt within ${REPLY_MS / 1000} s`, expected: 'an interrupt' });
}

/** Waits until the ring has a completed chain, without looking at interrupts. */
function awaitUsed({ driver, work }: CheckContext, count: number, sent: string): void {
  const end = performance.now() + REPLY_MS;
  const ring = driver.ring(work.queue);
  while (ring.usedIndex !== (count & 0xffff)) {
    if (performance.now() < end) continue;
    throw new CheckFailure({ sent, came: `used index ${ring.usedIndex}`, expected: `${count}` });
  }
}

/** Before one round in this many the device is left alone. */
const IDLE_EVERY = 20;

/**
 * Leaves the device alone before some rounds: right after a request it may look at the queue without being kicked, and
 * only one that has gone to sleep shows whether it wants the next kick.
 */
function idleBefore(round: number, context: CheckContext): void {
  if (round % IDLE_EVERY === IDLE_EVERY - 1) context.expectNothing(`nothing after request ${round - 1}`);
}

function notificationChecks(form: 'split' | 'packed'): readonly Check[] {
  const isPacked = form === 'packed';
  const features = isPacked ? ['RING_PACKED'] : [];
  const requires = { type: 'any known', ...(isPacked && { features }) } as const;
  return [
    {
      name: `${form}-interrupt`,
      clause: isPacked ? '2.8.10' : '2.7.7.2',
      rule: 'A used buffer is notified, unless the driver has suppressed that.',
      requires,
      run: (context) => {
        context.startWork({ features });
        const { driver, work } = context;
        driver.clearCall(work.queue);
        for (let round = 0; round < 20; round++) {
          const sent = `request ${round}, one at a time`;
          const waiting = context.offer([round]);
          context.kick();
          expectInterrupt(context, sent);
          context.collect(sent, waiting);
        }
      },
    },
    {
      name: `${form}-interrupt-suppressed`,
      clause: isPacked ? '2.8.10' : '2.7.7.2',
      rule: 'A driver that suppresses notifications gets none, and its requests are carried out.',
      requires,
      run: (context) => {
        context.startWork({ features });
        const { driver, work } = context;
        driver.ring(work.queue).suppressInterrupts();
        driver.clearCall(work.queue);
        for (let round = 0; round < 5; round++) {
          const sent = `request ${round} with notifications suppressed`;
          const waiting = context.offer([round]);
          context.kick();
          awaitUsed(context, round + 1, sent);
          context.collect(sent, waiting);
        }
        expectEqual('wait after requests with notifications suppressed', driver.clearCall(work.queue, QUIET_MS), false);
      },
    },
    {
      name: `${form}-kicks-spurious`,
      clause: '2.7.10.2',
      rule: 'A device handles notifications for which there is no buffer.',
      requires,
      run: (context) => {
        context.startWork({ features });
        for (let round = 0; round < 20; round++) {
          for (let kicks = 0; kicks < 5; kicks++) context.kick();
          context.exchange(`request ${round} between kicks without a buffer`, [round]);
        }
        context.expectNothing('kicks without a buffer');
      },
    },
    {
      name: `${form}-kick-suppression`,
      clause: isPacked ? '2.8.10' : '2.7.10.2',
      rule: 'A driver that kicks only when the device wants it loses no request.',
      requires,
      run: (context) => {
        context.startWork({ features });
        const { driver, work } = context;
        for (let round = 0; round < 100; round++) {
          idleBefore(round, context);
          const waiting = context.offer([round % 64]);
          if (!driver.ring(work.queue).suppressesKicks) context.kick();
          context.collect(`request ${round}, kicked only if the device did not suppress it`, waiting);
        }
      },
    },
    {
      name: `${form}-event-index`,
      clause: isPacked ? '2.8.10' : '2.7.10.2',
      rule: 'With EVENT_IDX, a driver that kicks only at the event of the device loses no request.',
      requires: { type: 'any known', features: ['RING_EVENT_IDX', ...features] },
      run: (context) => {
        context.startWork({ features: ['RING_EVENT_IDX', ...features] });
        const { driver, work } = context;
        for (let round = 0; round < 100; round++) {
          idleBefore(round, context);
          const waiting = context.offer(Array.from({ length: 1 + (round % 4) }, (_, slot) => slot));
          if (driver.ring(work.queue).needsKick()) context.kick();
          context.collect(`${waiting.size} requests, kicked only at the event of the device, round ${round}`, waiting);
        }
      },
    },
    {
      name: `${form}-event-index-interrupt`,
      clause: isPacked ? '2.8.10' : '2.7.7.2',
      rule: 'With EVENT_IDX, the interrupt comes at the event of the driver.',
      requires: { type: 'any known', features: ['RING_EVENT_IDX', ...features] },
      run: (context) => {
        context.startWork({ features: ['RING_EVENT_IDX', ...features] });
        const { driver, work } = context;
        const ring = driver.ring(work.queue);
        for (let round = 0; round < 20; round++) {
          const sent = `request ${round}, with an event at its completion`;
          // Of a packed queue the event is the place of a descriptor, and a chain has several.
          ring.waitFor(1);
          driver.clearCall(work.queue);
          const waiting = context.offer([round]);
          context.kick();
          expectInterrupt(context, sent);
          context.collect(sent, waiting);
        }
      },
    },
  ];
}

/** Notifications in both directions. */
export const allNotificationChecks: readonly Check[] = [
  ...notificationChecks('split'),
  {
    name: 'split-used-flags',
    clause: '2.7.10.2',
    rule: 'The flags of the used ring are 0 or 1, and 0 with EVENT_IDX.',
    requires: { type: 'any known' },
    run: (context) => {
      for (const features of [[], ['RING_EVENT_IDX']]) {
        if (features.length > 0 && context.mask(features) === 0n) continue;
        context.startWork({ features });
        for (let round = 0; round < 20; round++) {
          context.exchange(`request ${round}`, [round]);
          const { usedFlags } = context.driver.splitRing(context.work.queue);
          if (usedFlags === 0 || (features.length === 0 && usedFlags === VRING_USED_F_NO_NOTIFY)) continue;
          const expected = features.length === 0 ? '0 or 1' : '0';
          throw new CheckFailure({ sent: `request ${round}`, came: `flags ${usedFlags} of the used ring`, expected });
        }
      }
    },
  },
  ...notificationChecks('packed'),
];
