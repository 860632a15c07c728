import { netConfigOffset } from '../../../virtio/config-space.js';
import * as net from '../../../virtio/net.js';
import type { Check } from '../../check.js';
import { CheckFailure, expectBytes, expectEqual, NotApplicable } from '../../finding.js';
import { REPLY_MS, type CheckContext } from '../../context.js';
import { SPARE, UNTOUCHED } from '../../work.js';

/** The control queue of a driver that has not accepted MQ. */
const CONTROL = 2;
const COMMAND = SPARE;
const ANSWER = SPARE + 0x800;

const { VIRTIO_NET_OK: OK, VIRTIO_NET_ERR: ERR } = net;

/** Sends a command. @returns the answer */
function command({ driver }: CheckContext, sent: string, kind: number, code: number, data: readonly number[]): number {
  if (driver.queues <= CONTROL) throw new NotApplicable('the device has no queue 2');
  const bytes = [kind, code, ...data];
  driver.memory.u8.set(bytes, driver.at(COMMAND));
  driver.memory.u8[driver.at(ANSWER)] = UNTOUCHED;
  const buffers = [
    { iova: COMMAND, length: 2 },
    { iova: COMMAND + 2, length: data.length },
    { iova: ANSWER, length: 1, writable: true },
  ];
  const head = driver.ring(CONTROL).chain(buffers.filter(({ length }) => length > 0));
  driver.offer(head, CONTROL);
  if (!driver.used(CONTROL, REPLY_MS)) {
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
];
