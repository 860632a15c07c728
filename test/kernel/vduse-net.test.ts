import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { parseMac } from '../../src/virtio/mac-address.js';
import { serveNetDevice } from '../../src/vduse/net/device.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import {
  attribute,
  frameOf,
  netDevice,
  ping,
  pingAndTransfer,
  transfer,
  twoNamespaces,
} from '../support/kernel/servers/net-device.js';
import { PacketSocket } from '../support/kernel/drivers/packet-socket.js';
import { bash, sh, until } from '../support/kernel/servers/vduse.js';

const { describe, test } = testsWith(VDUSE);

describe('a VDUSE network device', () => {
  test('loopback: frames to its own address, and broadcasts, come back', async (context) => {
    const {
      netdev,
      server,
      mac: address,
    } = await netDevice(context, {
      name: 'loop0',
      backend: { type: 'loopback' },
      mtu: 1400,
    });
    const mac = parseMac(address);
    assert.equal(attribute(netdev, 'address'), address);
    assert.equal(attribute(netdev, 'mtu'), '1400');
    assert.equal(attribute(netdev, 'addr_assign_type'), '0');
    await sh(`ip link set ${netdev} up`);
    await until('the carrier is up', () => attribute(netdev, 'carrier') === '1');
    const packets = new PacketSocket(netdev);
    for (const to of [mac, new Uint8Array(6).fill(0xff)]) {
      for (const size of [46, 60, 1000, 1400]) {
        for (let number = 0; number < 100; number++) {
          const sent = frameOf(to, mac, new Uint8Array(size).fill(number));
          packets.send(sent);
          assert.deepEqual(await packets.receive(5000), new Uint8Array(sent));
        }
      }
    }
    packets.send(frameOf(Uint8Array.of(2, 0, 0, 0, 0, 0x99), mac, new Uint8Array(60)));
    assert.equal(await packets.receive(300), undefined);
    packets.close();
    const [receiving, sending] = server.status().queues;
    assert.ok(receiving && receiving.requests >= 800, JSON.stringify(receiving));
    assert.ok(sending && sending.requests > receiving.requests);
    assert.equal(receiving.errors + sending.errors, 0);
  });

  test('tap: ping and TCP, checksummed, both ways', async (context) => {
    await bash('head -c 100M /dev/urandom > /tmp/100M');
    const device = await netDevice(context, { name: 'tap0', backend: { type: 'tap', ifname: 'vdpatap' } });
    assert.equal(device.ifname, 'vdpatap');
    await pingAndTransfer(context, device, '/tmp/100M');
    const [receiving, sending] = device.server.status().queues;
    assert.ok(receiving && receiving.bytesIn > 200 * 1024 * 1024);
    assert.ok(sending && sending.bytesOut > 100 * 1024 * 1024);
    // Segmentation is offloaded: packets are far longer than a frame.
    assert.ok(receiving.bytesIn / receiving.requests > 4000, `${receiving.bytesIn} in ${receiving.requests}`);
  });

  test('tap: short queues and a large MTU', async (context) => {
    await bash('head -c 20M /dev/urandom > /tmp/20M');
    const device = await netDevice(context, {
      name: 'tap1',
      backend: { type: 'tap' },
      queueSize: 64,
      mtu: 9000,
      mac: '02:00:00:01:02:03',
    });
    assert.equal(attribute(device.netdev, 'address'), '02:00:00:01:02:03');
    await twoNamespaces(context, device, 9000);
    await ping('guest', '10.1.1.2', 5, 8900);
    for (const [from, to, address] of [
      ['guest', 'host', '10.1.1.2'],
      ['host', 'guest', '10.1.1.1'],
    ] as const) {
      const [sent, came] = await transfer(from, to, address, '/tmp/20M');
      assert.equal(came, sent);
    }
  });

  test('tap: several pairs of queues, each with a queue of the tap', async (context) => {
    const device = await netDevice(context, {
      name: 'tap2',
      backend: { type: 'tap', ifname: 'multi' },
      queues: 4,
      threads: 2,
    });
    assert.equal(device.server.status().queues.length, 8);
    // The kernel does not allow VDUSE devices a control queue, without which a driver uses one pair: so does the tap.
    assert.match(await sh('ip -d link show multi'), /multi_queue numqueues 1 numdisabled 3 /);
    await twoNamespaces(context, device);
    for (let port = 0; port < 8; port++) {
      await ping('host', '10.1.1.1', 2);
    }
  });

  test('the TAP interface is deleted with the server', async () => {
    const { server } = await serveNetDevice({ name: 'gone', backend: { type: 'tap', ifname: 'gonetap' } });
    assert.ok(existsSync('/sys/class/net/gonetap'));
    await server.stop();
    assert.ok(!existsSync('/sys/class/net/gonetap'));
    assert.ok(!existsSync('/dev/vduse/gone'));
  });

  for (const [what, options, message] of [
    ['an MTU that is too small', { mtu: 10 }, /expected 68 to 65535/],
    ['a multicast address', { mac: '01:00:00:00:00:01' }, /neither multicast/],
    ['a name that no interface has', { backend: { type: 'tap', ifname: 'a/b' } }, /Invalid interface name "a\/b"/],
    [
      'an interface that is not a tap',
      { backend: { type: 'tap', ifname: 'lo' } },
      /create the TAP interface lo: Invalid/,
    ],
    ['no pair', { queues: 0 }, /1 to 128 pairs/],
  ] as const) {
    test(`rejected: ${what}`, async () => {
      await assert.rejects(serveNetDevice({ name: 'never', backend: { type: 'loopback' }, ...options }), message);
      assert.ok(!existsSync('/dev/vduse/never'));
    });
  }
});
