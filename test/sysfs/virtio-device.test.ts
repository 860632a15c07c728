import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { DeviceWatch } from '../../src/host/device-watch.js';
import { unbindDriver } from '../../src/sysfs/binding.js';
import { VdpaBus } from '../../src/sysfs/bus.js';
import { findDevices } from '../../src/sysfs/find-devices.js';
import { describeUser, findUsers } from '../../src/sysfs/users.js';
import { FakeMachine } from './fake-machine.js';

const PF = 'pci0000:00/0000:03:00.0/';

let machine: FakeMachine;
/** The bus info that interfaces report. */
let busInfo: Map<string, string>;
let bus: VdpaBus;

beforeEach(() => {
  machine = new FakeMachine();
  busInfo = new Map();
  bus = new VdpaBus(machine.files, (netdev) => {
    const text = busInfo.get(netdev);
    return text === undefined ? undefined : Buffer.from(text).subarray(0, 31);
  });
  machine.link(`/sys/devices/${PF}subsystem`, '/sys/bus/pci');
  machine.link(`/sys/devices/${PF}driver`, '/sys/bus/pci/drivers/mlx5_core');
});

afterEach(() => {
  machine.remove();
});

/** A device of a subfunction, whose DMA goes through the PCI function. */
function subfunction(name: string, number: number): void {
  machine.vdpaDevice(name, { above: `${PF}mlx5_core.sf.${number}/`, driver: 'virtio_vdpa' });
}

function virtio(name: string, part: string): void {
  machine
    .link(
      `/sys/devices/${PF}${name}/driver`,
      `/sys/bus/virtio/drivers/virtio_${part.startsWith('net') ? 'net' : 'blk'}`,
    )
    .folder(`/sys/devices/${PF}${name}/${part}`);
}

/** What is known about the virtio device of each. */
const found = (name: string): (string | undefined)[] => {
  const device = bus.device(name);
  return [device?.virtio, device?.netdev, device?.block, device?.virtioCandidates?.map((each) => each.virtio).join()];
};

test('the virtio device of hardware is a child of its PCI function', () => {
  machine.vdpaDevice('disk0', { above: PF, driver: 'virtio_vdpa' });
  virtio('virtio3', 'block/vdb');
  assert.deepEqual(found('disk0'), ['virtio3', undefined, 'vdb', undefined]);
  assert.deepEqual(
    findDevices(bus, { by: 'block', value: 'vdb' }).map(({ name }) => name),
    ['disk0'],
  );
});

test('a device of another driver has no virtio device', () => {
  machine.vdpaDevice('vm0', { above: PF, driver: 'vhost_vdpa' }).vdpaDevice('free0', { above: PF });
  subfunction('sf1', 1);
  virtio('virtio3', 'net/eth3');
  assert.deepEqual(found('vm0'), [undefined, undefined, undefined, undefined]);
  assert.deepEqual(found('free0'), [undefined, undefined, undefined, undefined]);
  assert.deepEqual(found('sf1'), ['virtio3', 'eth3', undefined, undefined]);
});

test('two devices with one parent each have their own: an interface names its device', () => {
  subfunction('sf1', 1);
  subfunction('sf2', 2);
  virtio('virtio3', 'net/eth3');
  virtio('virtio4', 'net/eth4');
  busInfo.set('eth3', 'sf2').set('eth4', 'sf1');
  assert.deepEqual(found('sf1'), ['virtio4', 'eth4', undefined, undefined]);
  assert.deepEqual(found('sf2'), ['virtio3', 'eth3', undefined, undefined]);
});

test('the remaining virtio device belongs to the remaining device', () => {
  subfunction('sf1', 1);
  subfunction('disk1', 2);
  virtio('virtio3', 'block/vdb');
  virtio('virtio4', 'net/eth4');
  busInfo.set('eth4', 'sf1');
  assert.deepEqual(found('disk1'), ['virtio3', undefined, 'vdb', undefined]);
});

test('ambiguous virtio devices are not guessed, and count for both', async () => {
  subfunction('disk1', 1);
  subfunction('disk2', 2);
  virtio('virtio3', 'block/vdb');
  virtio('virtio4', 'block/vdc');
  machine
    .file('/sys/class/block/vdb/dev', '254:16\n')
    .file('/proc/self/mountinfo', '30 1 254:16 / /mnt rw - ext4 /dev/vdb rw\n');
  for (const name of ['disk1', 'disk2']) {
    assert.deepEqual(found(name), [undefined, undefined, undefined, 'virtio3,virtio4']);
    const device = bus.device(name);
    assert.ok(device);
    assert.deepEqual((await findUsers(machine.files, device)).map(describeUser), ['/dev/vdb is mounted on /mnt']);
    await assert.rejects(unbindDriver(bus, name), { code: 'EBUSY' });
  }
  assert.throws(() => findDevices(bus, { by: 'block', value: 'vdb' }), { code: 'ENOTUNIQ', message: /disk1, disk2/ });
});

test('a single virtio device of two devices is assigned to neither', () => {
  subfunction('disk1', 1);
  subfunction('disk2', 2);
  virtio('virtio3', 'block/vdb');
  assert.deepEqual(found('disk1'), [undefined, undefined, undefined, 'virtio3']);
});

test('names that the kernel truncates to the same text are not distinguished', () => {
  const long = 'a'.repeat(31);
  subfunction(`${long}1`, 1);
  subfunction(`${long}2`, 2);
  virtio('virtio3', 'net/eth3');
  virtio('virtio4', 'net/eth4');
  busInfo.set('eth3', long).set('eth4', long);
  assert.deepEqual(found(`${long}1`), [undefined, undefined, undefined, 'virtio3,virtio4']);
});

test('a virtio device on PCI itself does not belong to the vdpa bus', () => {
  machine
    .vdpaDevice('sf1', { above: 'pci0000:00/0000:04:00.0/mlx5_core.sf.1/', driver: 'virtio_vdpa' })
    .link('/sys/devices/pci0000:00/0000:04:00.0/driver', '/sys/bus/pci/drivers/virtio-pci')
    .folder('/sys/devices/pci0000:00/0000:04:00.0/virtio0/block/vda');
  assert.deepEqual(found('sf1'), [undefined, undefined, undefined, undefined]);
});

test('an interface in another network namespace is a user, though it is not visible', async () => {
  machine.vdpaDevice('net0', { above: PF, driver: 'virtio_vdpa' });
  virtio('virtio3', 'net');
  const device = bus.device('net0');
  assert.ok(device);
  assert.equal(device.netdevElsewhere, true);
  assert.deepEqual((await findUsers(machine.files, device)).map(describeUser), [
    'the interface of virtio3 is in another network namespace',
  ]);
});

test('events of children of a PCI function are reported for its device, even after it is deleted', () => {
  machine.vdpaDevice('disk0', { above: PF, driver: 'virtio_vdpa' });
  const watch = new DeviceWatch(bus);
  const event = (subsystem: string, action: string, part: string): string | undefined => {
    const event = watch.read({ action, subsystem, devpath: `/devices/${PF}${part}`, variables: new Map() });
    return event?.object === 'dev' && event.event === 'changed' ? `${event.name} ${event.change}` : undefined;
  };
  virtio('virtio3', 'block/vdb');
  assert.equal(event('virtio', 'add', 'virtio3'), undefined);
  assert.equal(event('block', 'add', 'virtio3/block/vdb'), 'disk0 added');
  machine.remove();
  machine = new FakeMachine();
  assert.equal(event('block', 'remove', 'virtio3/block/vdb'), 'disk0 removed');
  assert.equal(event('virtio', 'remove', 'virtio3'), undefined);
  assert.equal(event('block', 'add', 'virtio3/block/vdb'), undefined);
});
