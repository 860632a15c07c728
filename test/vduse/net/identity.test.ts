import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import { VIRTIO_F_RING_PACKED } from '../../../src/vduse/engine/negotiation.js';
import * as net from '../../../src/virtio/net.js';
import { serveNetDevice } from '../../../src/vduse/net/device.js';
import { netIdentity } from '../../../src/vduse/net/identity.js';
import { openTap } from '../../../src/vduse/net/tap.js';

const mac = '02:00:00:00:00:01';
const has = (features: bigint, bit: bigint): boolean => ((features >> bit) & 1n) === 1n;

describe('what a driver sees of a network device', () => {
  test('its address, its pairs, its MTU and its link state', () => {
    const { config, features, queueCount, deviceId } = netIdentity({
      mac,
      mtu: 9000,
      pairs: 3,
      queueSize: 256,
      packed: false,
      offloads: false,
    });
    assert.deepEqual([...config.subarray(0, 12)], [2, 0, 0, 0, 0, 1, 1, 0, 3, 0, 0x28, 0x23]);
    assert.deepEqual([queueCount, deviceId], [6, 1]);
    assert.ok(has(features, net.VIRTIO_NET_F_MTU) && has(features, net.VIRTIO_NET_F_MAC));
  });

  test('offloads and mergeable buffers only with a tap, and an MTU only if one is set', () => {
    const options = { mac, mtu: undefined, pairs: 1, queueSize: 256, packed: false };
    const plain = netIdentity({ ...options, offloads: false }).features;
    const tap = netIdentity({ ...options, offloads: true }).features;
    for (const bit of [net.VIRTIO_NET_F_CSUM, net.VIRTIO_NET_F_GUEST_TSO6, net.VIRTIO_NET_F_MRG_RXBUF]) {
      assert.deepEqual([has(plain, bit), has(tap, bit)], [false, true]);
    }
    assert.equal(has(tap, net.VIRTIO_NET_F_MTU), false);
    // It needs a control queue, which VDUSE does not permit.
    assert.equal(has(tap, net.VIRTIO_NET_F_MQ), false);
  });

  test('packed queues only if they are wanted', () => {
    const options = { mac, mtu: undefined, pairs: 1, queueSize: 256, offloads: false };
    for (const packed of [false, true]) {
      assert.equal(has(netIdentity({ ...options, packed }).features, VIRTIO_F_RING_PACKED), packed);
    }
  });
});

for (const ifname of ['', '.', '..', 'a/b', 'a b', 'a:b', 'tap%d', 'sixteen-bytes-xx', 'tab\t', 'ä'.repeat(8)]) {
  test(`${JSON.stringify(ifname)} is not an interface name`, () => {
    assert.throws(() => openTap(ifname, 1), { name: 'InterfaceNameError' });
  });
}

test(
  'a device that is invalid, or that this kernel does not support, is not created',
  { skip: hasVduse() },
  async () => {
    const options = { name: 'unit0', backend: { type: 'loopback' } } as const;
    await assert.rejects(serveNetDevice(options), { name: 'SystemError', message: /vduse/ });
    await assert.rejects(serveNetDevice({ ...options, name: '..' }), { name: 'DeviceNameError' });
    await assert.rejects(serveNetDevice({ ...options, mtu: 1 }), { name: 'DeviceOptionError' });
    await assert.rejects(serveNetDevice({ ...options, queues: 0 }), { name: 'DeviceOptionError' });
    await assert.rejects(serveNetDevice({ ...options, mac: '02:00:00:00:00' }), { name: 'ArgumentError' });
    await assert.rejects(serveNetDevice({ ...options, mac: '01:00:00:00:00:00' }), { name: 'DeviceOptionError' });
    await assert.rejects(serveNetDevice({ ...options, backend: { type: 'tap', ifname: 'a/b' } }), {
      name: 'InterfaceNameError',
    });
  },
);

function hasVduse(): string | false {
  return existsSync('/dev/vduse/control') && 'this machine has VDUSE';
}
