import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { addBoundDevice, waitUntilUsableOrDelete } from '../../src/host/add-device.js';
import { deleteDevice } from '../../src/host/delete-device.js';
import { detailsReader } from '../../src/host/device-details.js';
import { capacityOf } from '../../src/host/state/capacity.js';
import { explainUnusable, waitUntilUsable } from '../../src/host/usable-device.js';
import { VdpaBus } from '../../src/sysfs/bus.js';
import { FakeMachine } from '../sysfs/fake-machine.js';
import { TestMachine } from '../support/test-machine.js';

const NET = 1;
const BLOCK = 2;

let machine: FakeMachine;
let bus: VdpaBus;

beforeEach(() => {
  machine = new FakeMachine();
  bus = new VdpaBus(machine.files);
});

afterEach(() => {
  machine.remove();
});

const VIRTIO0 = '/sys/devices/foo0/virtio0';

describe('a device is usable', () => {
  test('without a driver, or with an unknown one: there is nothing to wait for', async () => {
    machine.vdpaDevice('foo0').vdpaDevice('foo1', { driver: 'other' });
    assert.equal((await waitUntilUsable(bus, 'foo0', NET)).name, 'foo0');
    assert.equal((await waitUntilUsable(bus, 'foo1', NET)).driver, 'other');
  });

  const limit = { timeoutMs: 1 };
  const missing = (deviceId: number, message: RegExp): Promise<void> =>
    assert.rejects(waitUntilUsable(bus, 'foo0', deviceId, limit), { name: 'SystemError', code: 'ETIMEDOUT', message });

  test('with vhost_vdpa once its node exists', async () => {
    machine.vdpaDevice('foo0', { driver: 'vhost_vdpa' });
    await missing(NET, /\/dev\/vhost-vdpa-N does not exist/);
    machine.file('/sys/devices/foo0/vhost-vdpa-3/dev', '999:3\n');
    await missing(NET, /\/dev\/vhost-vdpa-3 does not exist/);
  });

  test('with virtio_vdpa once its driver has created an interface or a disk; the error says what is missing', async () => {
    machine.vdpaDevice('foo0', { driver: 'virtio_vdpa' });
    await missing(NET, /virtio_vdpa/);
    machine.folder(VIRTIO0).link('/sys/bus/virtio/devices/virtio0', VIRTIO0);
    await missing(NET, /virtio0.*modprobe virtio_net/);
    await missing(BLOCK, /virtio0.*modprobe virtio_blk/);
    await missing(26, /virtio0.*driver of its type/);
    machine
      .folder('/sys/bus/virtio/drivers/virtio_net')
      .link(`${VIRTIO0}/driver`, '/sys/bus/virtio/drivers/virtio_net');
    await missing(NET, /virtio_net has not created a network interface/);
    await missing(BLOCK, /virtio_net has not created a disk/);
    assert.equal((await waitUntilUsable(bus, 'foo0', 26, limit)).virtioDriver, 'virtio_net');
    machine.folder(`${VIRTIO0}/net/eth7`);
    assert.equal((await waitUntilUsable(bus, 'foo0', NET, limit)).netdev, 'eth7');
    machine.folder(`${VIRTIO0}/block/vdx`);
    await missing(BLOCK, /\/dev\/vdx does not exist/);
  });

  test('never once it is gone', async () => {
    await assert.rejects(waitUntilUsable(bus, 'foo0', NET), { code: 'ENODEV', message: /foo0/ });
  });

  test('or not: the wait ends with the reason of an AbortSignal', async () => {
    machine.vdpaDevice('foo0', { driver: 'vhost_vdpa' });
    const reason = new Error('enough');
    await assert.rejects(waitUntilUsable(bus, 'foo0', NET, { signal: AbortSignal.abort(reason) }), reason);
  });
});

describe('why it is not a disk of this machine', () => {
  test('is explained if another driver has it, with the command to run', () => {
    machine.vdpaDevice('foo0').vdpaDevice('foo1', { driver: 'virtio_vdpa' });
    assert.match(explainUnusable(bus, 'foo0', 'disk') ?? '', /no driver.*"vdpa dev bind foo0 driver virtio"/);
    machine.vdpaDevice('foo2', { driver: 'vhost_vdpa' }).file('/sys/devices/foo2/vhost-vdpa-0/dev', '999:0\n');
    assert.match(explainUnusable(bus, 'foo2', 'network interface') ?? '', /vhost_vdpa as \/dev\/vhost-vdpa-0/);
    assert.equal(explainUnusable(bus, 'foo1', 'disk'), undefined);
    assert.equal(explainUnusable(bus, 'missing', 'disk'), undefined);
  });

  test('includes the module if it is not loaded', () => {
    machine.vdpaDevice('foo0');
    assert.match(explainUnusable(bus, 'foo0', 'disk') ?? '', /modprobe virtio_vdpa/);
  });
});

describe('a device that is added with a driver', () => {
  const spec = { name: 'foo0', managementDevice: 'vdpasim_net' };
  const names = async (simulated: TestMachine): Promise<string[]> =>
    (await (await simulated.client()).devices()).map(({ name }) => name);

  test('is not created if the machine has no such driver', async () => {
    const simulated = new TestMachine();
    await assert.rejects(addBoundDevice(await simulated.client(), bus, spec, 'vhost'), {
      name: 'SystemError',
      code: 'ENOENT',
    });
    assert.deepEqual(await names(simulated), []);
  });

  test('is deleted again if it cannot be bound, or if the caller aborts', async () => {
    machine.driver('vhost_vdpa').folder('/sys/bus/vdpa/devices');
    const simulated = new TestMachine();
    const client = await simulated.client();
    await assert.rejects(addBoundDevice(client, bus, spec, 'vhost'), { code: 'ENODEV' });
    assert.deepEqual(await names(simulated), []);
    const reason = new Error('enough');
    await assert.rejects(addBoundDevice(client, bus, spec, 'vhost', { signal: AbortSignal.abort(reason) }), reason);
    assert.deepEqual(await names(simulated), []);
  });

  test('is deleted again if its driver creates nothing', async () => {
    const simulated = new TestMachine();
    const client = await simulated.client();
    await client.addDevice(spec);
    await assert.rejects(waitUntilUsableOrDelete(client, bus, 'foo0'), { code: 'ENODEV' });
    assert.deepEqual(await names(simulated), []);
  });

  test('that cannot be deleted either: both errors are reported', async () => {
    const simulated = new TestMachine({}, [{ command: 'dev del', errno: 'EPERM' }]);
    const client = await simulated.client();
    await client.addDevice(spec);
    await assert.rejects(waitUntilUsableOrDelete(client, bus, 'foo0'), {
      code: 'ENODEV',
      message: /also failed.*EPERM/,
    });
  });
});

test('a device is deleted, unless the caller aborts', async () => {
  const simulated = new TestMachine();
  const client = await simulated.client();
  await client.addDevice({ name: 'foo0', managementDevice: 'vdpasim_net' });
  const reason = new Error('enough');
  await assert.rejects(deleteDevice(client, undefined, 'foo0', { signal: AbortSignal.abort(reason) }), reason);
  assert.equal((await client.devices()).length, 1);
  await deleteDevice(client, bus, 'foo0', { timeoutMs: 1000 });
  assert.equal((await client.devices()).length, 0);
});

test('details are those of a device on the bus', async () => {
  machine.vdpaDevice('foo0', { driver: 'other' }).folder('/proc');
  const read = detailsReader(bus);
  assert.deepEqual((await read('foo0'))?.device.driver, 'other');
  assert.deepEqual((await read('foo0'))?.users, []);
  assert.equal(await read('gone'), undefined);
});

test('how many devices a management device can have is known only for hardware drivers', () => {
  for (const [name, driver] of [
    ['0000:01:00.0', 'mlx5_core'],
    ['0000:02:00.0', 'e1000e'],
  ] as const) {
    machine.folder(`/sys/bus/pci/drivers/${driver}`).folder(`/sys/devices/${name}`);
    machine.link(`/sys/devices/${name}/driver`, `/sys/bus/pci/drivers/${driver}`);
    machine.link(`/sys/bus/pci/devices/${name}`, `/sys/devices/${name}`);
  }
  const { files } = bus;
  assert.equal(capacityOf(files, 'pci/0000:01:00.0'), 1);
  assert.equal(capacityOf(files, 'pci/0000:02:00.0'), undefined);
  assert.equal(capacityOf(files, 'pci/0000:03:00.0'), undefined);
  assert.equal(capacityOf(files, 'vdpasim_net'), undefined);
  // Names from the kernel are checked before they become part of a path.
  assert.equal(capacityOf(files, '../0000:01:00.0'), undefined);
  assert.equal(capacityOf(files, 'pci/..'), undefined);
});
