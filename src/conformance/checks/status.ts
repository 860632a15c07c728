import { ACKNOWLEDGED, DRIVER_OK, FEATURES_OK } from '../../vhost/driver.js';
import { VIRTIO_CONFIG_S_ACKNOWLEDGE } from '../../virtio/status.js';
import type { Check } from '../check.js';
import { expectEqual, expectThat } from '../finding.js';
import { QUIET_MS } from '../context.js';

/** Device status and reset. */
export const statusChecks: readonly Check[] = [
  {
    name: 'status-after-reset',
    clause: '2.4.1',
    rule: 'A device reinitializes its status to 0 after a reset.',
    run: (context) => {
      const { vhost } = context;
      expectEqual('read the status of a device that was just opened', vhost.status, 0);
      context.start();
      vhost.status = 0;
      expectEqual('read the status after the reset of a running device', vhost.status, 0);
    },
  },
  {
    name: 'status-steps',
    clause: '3.1.1',
    rule: 'The status has the bits that the driver has set, step by step.',
    run: (context) => {
      const { vhost } = context;
      for (const status of [VIRTIO_CONFIG_S_ACKNOWLEDGE, ACKNOWLEDGED]) {
        vhost.status = status;
        expectEqual(`write status ${status}`, vhost.status, status);
      }
      vhost.setFeatures(context.accepting([]));
      for (const status of [FEATURES_OK, DRIVER_OK]) {
        vhost.status = status;
        expectEqual(`write status ${status}`, vhost.status, status);
      }
    },
  },
  {
    name: 'status-reset-repeated',
    clause: '2.4.1',
    rule: 'A device can be reset at any step, and starts again.',
    requires: { type: 'any known' },
    run: (context) => {
      const { vhost } = context;
      for (const status of [0, VIRTIO_CONFIG_S_ACKNOWLEDGE, ACKNOWLEDGED]) {
        if (status !== 0) vhost.status = status;
        vhost.status = 0;
        expectEqual(`reset at status ${status}`, vhost.status, 0);
      }
      context.prepare();
      vhost.status = 0;
      for (let round = 0; round < 3; round++) {
        context.startWork();
        context.exchange(`a request after reset ${round + 1}`, [0]);
      }
    },
  },
  {
    name: 'status-before-driver-ok',
    clause: '2.1.2',
    rule: 'A device does not consume buffers before DRIVER_OK.',
    requires: { type: 'any known' },
    run: (context) => {
      const { driver, work } = context;
      context.prepare();
      const head = context.chain(0);
      work.begin(driver);
      driver.offer(head, work.queue);
      context.expectNothing('a chain and a kick before DRIVER_OK');
      driver.vhost.status = DRIVER_OK;
      driver.kick(work.queue);
      context.collect('the same chain, kicked again after DRIVER_OK', new Map([[head, 0]]));
    },
  },
  {
    name: 'status-quiet-after-reset',
    clause: '2.4.1',
    rule: 'A device does not touch queues or send notifications after a reset.',
    requires: { type: 'any known' },
    run: (context) => {
      const { driver, work } = context;
      context.startWork();
      driver.vhost.status = 0;
      driver.clearCall(work.queue);
      const sent = 'a chain and a kick after a reset';
      driver.offer(context.chain(0), work.queue);
      context.expectNothing(sent);
      const came = 'an interrupt';
      expectThat(!driver.clearCall(work.queue, QUIET_MS), { sent, came, expected: 'none' });
    },
  },
];
