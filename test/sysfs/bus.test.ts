import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { afterEach, beforeEach, test } from 'node:test';
import { decodeText } from '../../src/netlink/text-encoding.js';
import { VdpaBus } from '../../src/sysfs/bus.js';
import { findDevices } from '../../src/sysfs/find-devices.js';
import { SystemError } from '../../src/sys/error.js';
import { FakeMachine } from './fake-machine.js';

let machine: FakeMachine;
let bus: VdpaBus;

beforeEach(() => {
  machine = new FakeMachine();
  bus = new VdpaBus(machine.files);
});

afterEach(() => {
  machine.remove();
});

test('a machine without vdpa has no bus and no devices', () => {
  assert.equal(bus.present, false);
  assert.deepEqual(bus.devices(), []);
  assert.equal(bus.device('foo0'), undefined);
});

test('a device of a smart NIC: an auxiliary device of a PCI function near a NUMA node', () => {
  const pci = 'pci0000:00/0000:03:00.2';
  machine
    .file(`/sys/devices/${pci}/numa_node`, '1\n')
    .link(`/sys/devices/${pci}/subsystem`, '/sys/bus/pci')
    .link(`/sys/devices/${pci}/mlx5_core.vnet.2/subsystem`, '/sys/bus/auxiliary')
    .vdpaDevice('vdpa0', { above: `${pci}/mlx5_core.vnet.2/`, driver: 'vhost_vdpa' })
    .folder(`/sys/devices/${pci}/mlx5_core.vnet.2/vdpa0/vhost-vdpa-3`);
  assert.deepEqual(bus.device('vdpa0'), {
    name: 'vdpa0',
    driver: 'vhost_vdpa',
    vhost: 'vhost-vdpa-3',
    parent: { subsystem: 'auxiliary', name: 'mlx5_core.vnet.2' },
    pci: '0000:03:00.2',
    numaNode: 1,
  });
});

test('a simulator has no parent, a VDUSE device that of its instance; -1 means no NUMA node', () => {
  machine
    .vdpaDevice('sim0')
    .link('/sys/devices/virtual/vduse/user0/subsystem', '/sys/class/vduse')
    .file('/sys/devices/virtual/vduse/user0/numa_node', '-1\n')
    .vdpaDevice('user0', { above: 'virtual/vduse/user0/', driver: 'virtio_vdpa' })
    .file('/sys/devices/virtual/vduse/user0/user0/driver_override', 'virtio_vdpa\n')
    .link('/sys/devices/virtual/vduse/user0/user0/virtio7/driver', '/sys/bus/virtio/drivers/virtio_blk')
    .folder('/sys/devices/virtual/vduse/user0/user0/virtio7/block/vdc');
  assert.deepEqual(bus.devices(), [
    { name: 'sim0' },
    {
      name: 'user0',
      driver: 'virtio_vdpa',
      driverOverride: 'virtio_vdpa',
      virtio: 'virtio7',
      virtioDriver: 'virtio_blk',
      block: 'vdc',
      parent: { subsystem: 'vduse', name: 'user0' },
    },
  ]);
});

test('a name from outside never leads out of the folder of devices', () => {
  machine.vdpaDevice('foo0').file('/sys/bus/vdpa/secret');
  for (const name of ['..', '.', '', '../secret', '../devices/foo0', 'foo0/../foo0', 'foo0\0']) {
    assert.equal(bus.device(name), undefined, name);
  }
});

test('names of any bytes are found', () => {
  const name = Uint8Array.of(0x66, 0xff, 0x80, 0xc3, 0xb6); // Two of these bytes are not UTF-8.
  machine.folder('/sys/bus/vdpa/devices');
  mkdirSync(Buffer.concat([Buffer.from(`${machine.root}/sys/bus/vdpa/devices/`), name]));
  assert.deepEqual(bus.devices(), [{ name: decodeText(name) }]);
});

test('devices are looked up by driver, interface, disk and node', () => {
  machine
    .vdpaDevice('a', { driver: 'vhost_vdpa' })
    .folder('/sys/devices/a/vhost-vdpa-0')
    .vdpaDevice('b', { driver: 'virtio_vdpa' })
    .folder('/sys/devices/b/virtio0/net/eth3')
    .vdpaDevice('c', { driver: 'virtio_vdpa' })
    .folder('/sys/devices/c/virtio1/block/vda');
  const names = (by: 'driver' | 'netdev' | 'block' | 'vhost', value: string): string[] =>
    findDevices(bus, { by, value }).map(({ name }) => name);
  assert.deepEqual(names('driver', 'virtio'), ['b', 'c']);
  assert.deepEqual(names('driver', 'vhost_vdpa'), ['a']);
  assert.deepEqual(names('netdev', 'eth3'), ['b']);
  assert.deepEqual(names('block', '/dev/vda'), ['c']);
  assert.deepEqual(names('vhost', 'vhost-vdpa-0'), ['a']);
  assert.throws(() => names('netdev', 'eth4'), { code: 'ENODEV' });
  assert.throws(
    () => names('driver', 'nothing'),
    (error) =>
      error instanceof SystemError && error.code === 'ENOENT' && error.message.includes('vhost_vdpa, virtio_vdpa'),
  );
});
