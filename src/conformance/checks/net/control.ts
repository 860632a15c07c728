import { netConfigOffset } from '../../../virtio/config-space.js';
import * as net from '../../../virtio/net.js';
import type { Check } from '../../check.js';
import { CheckFailure, expectBytes, expectEqual, NotApplicable } from '../../finding.js';
import { REPLY_MS, type CheckContext } from '../../context.js';
import { SPARE, UNTOUCHED } from '../../work.js';

/** The control queue: the one after the queues of all pairs, or, without MQ, of the first one. */
function controlQueue({ driver, target }: CheckContext): number {
  return (driver.accepted & MQ) !== 0n ? 2 * pairsOf(target) : 2;
}

const MQ = 1n << net.VIRTIO_NET_F_MQ;

/** max_virtqueue_pairs of the configuration of a device with MQ. */
function pairsOf({ config }: CheckContext['target']): number {
  return new DataView(config.buffer, config.byteOffset).getUint16(netConfigOffset.maxVirtqueuePairs, true);
}

const COMMAND = SPARE;
const ANSWER = SPARE + 0x800;

const { VIRTIO_NET_OK: OK, VIRTIO_NET_ERR: ERR } = net;

/** Sends a command. @returns the answer */
function command(context: CheckContext, sent: string, kind: number, code: number, data: readonly number[]): number {
  const { driver } = context;
  const queue = controlQueue(context);
  if (driver.queues <= queue) throw new NotApplicable(`the device has no queue ${queue} that the driver can use`);
  const bytes = [kind, code, ...data];
  driver.memory.u8.set(bytes, driver.at(COMMAND));
  driver.memory.u8[driver.at(ANSWER)] = UNTOUCHED;
  const buffers = [
    { iova: COMMAND, length: 2 },
    { iova: COMMAND + 2, length: data.length },
    { iova: ANSWER, length: 1, writable: true },
  ];
  const head = driver.ring(queue).chain(buffers.filter(({ length }) => length > 0));
  driver.offer(head, queue);
  if (!driver.used(queue, REPLY_MS)) {
    throw new CheckFailure({ sent, came: `no answer within ${REPLY_MS / 1000} s`, expected: 'an answer' });
  }
  return driver.memory.u8[driver.at(ANSWER)] ?? UNTOUCHED;
}

/** Commands on the control queue. */
export const netControlChecks: readonly Check[] = [
  {
    name: 'net-control-unknown',
    clause: '5.1.6.5',
    rule: 'A command of an unknown class has the answer ERR.',
    requires: { type: 'net', features: ['CTRL_VQ'] },
    run: (context) => {
      context.start({ features: ['CTRL_VQ'] });
      const sent = 'a command of class 200';
      for (let round = 0; round < 3; round++) expectEqual(sent, command(context, sent, 200, 0, [0]), ERR);
    },
  },
  {
    name: 'net-control-mac',
    clause: '5.1.6.5.2.1',
    rule: 'A MAC address that was set is in the configuration when the command is completed.',
    requires: { type: 'net', features: ['CTRL_VQ', 'CTRL_MAC_ADDR', 'MAC'] },
    run: (context) => {
      context.start({ features: ['CTRL_VQ', 'CTRL_MAC_ADDR', 'MAC'] });
      const before = context.vhost.config(netConfigOffset.mac, net.ETH_ALEN);
      const other = before.map((octet, index) => (index === 0 ? 0x02 : octet ^ 0x0f));
      const set = (mac: Uint8Array): void => {
        const sent = `set a MAC address`;
        const answer = command(context, sent, net.VIRTIO_NET_CTRL_MAC, net.VIRTIO_NET_CTRL_MAC_ADDR_SET, [...mac]);
        expectEqual(sent, answer, OK);
        expectBytes('set a MAC address, then read it', context.vhost.config(netConfigOffset.mac, net.ETH_ALEN), mac);
      };
      try {
        set(other);
      } finally {
        set(before);
      }
    },
  },
  {
    name: 'net-control-receive',
    clause: '5.1.6.5.1.1',
    rule: 'A device with CTRL_RX supports promiscuous mode and all multicasts.',
    requires: { type: 'net', features: ['CTRL_VQ', 'CTRL_RX'] },
    run: (context) => {
      context.start({ features: ['CTRL_VQ', 'CTRL_RX'] });
      for (const code of [net.VIRTIO_NET_CTRL_RX_PROMISC, net.VIRTIO_NET_CTRL_RX_ALLMULTI]) {
        for (const on of [1, 0]) {
          const sent = `command ${code} of class RX with ${on}`;
          expectEqual(sent, command(context, sent, net.VIRTIO_NET_CTRL_RX, code, [on]), OK);
        }
      }
    },
  },
  {
    name: 'net-control-pairs',
    clause: '5.1.6.5.6.2',
    rule: 'A device with MQ accepts one pair of queues and all pairs, and sends the packets of each pair.',
    requires: { type: 'net', features: ['CTRL_VQ', 'MQ'] },
    run: (context) => {
      const { driver, target } = context;
      context.start({ features: ['CTRL_VQ', 'MQ'] });
      const all = pairsOf(target);
      const setPairs = (pairs: number): number => {
        const data = [pairs & 0xff, pairs >> 8];
        return command(
          context,
          `set ${pairs} pairs`,
          net.VIRTIO_NET_CTRL_MQ,
          net.VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET,
          data,
        );
      };
      for (const pairs of [1, all]) expectEqual(`set ${pairs} pairs of ${all}`, setPairs(pairs), OK);
      for (let pair = 0; pair < all; pair++) {
        const queue = 2 * pair + 1;
        driver.offer(driver.ring(queue).chain(context.work.prepare(driver, pair)), queue);
        const sent = `send a packet on queue ${queue} of ${all} pairs`;
        expectEqual(`${sent}: it is used`, driver.used(queue, REPLY_MS) !== undefined, true);
      }
    },
  },
];
