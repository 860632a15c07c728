import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { bindDriver, unbindDriver, withDriver } from '../../src/sysfs/binding.js';
import { VdpaBus } from '../../src/sysfs/bus.js';
import { describeInTheWay } from '../../src/sysfs/removal.js';
import { describeUser, findUsers } from '../../src/sysfs/users.js';
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

const written = (path: string): string => readFileSync(join(machine.root, path), 'utf8');

test('a missing device or driver is rejected before anything is written', async () => {
  await assert.rejects(bindDriver(bus, 'foo0', 'vhost'), { code: 'ENOENT' });
  machine.driver('vhost_vdpa');
  await assert.rejects(bindDriver(bus, 'foo0', 'vhost'), { code: 'ENODEV' });
  await assert.rejects(bindDriver(bus, '../drivers', 'vhost'), { code: 'ENODEV' });
  machine.vdpaDevice('foo0');
  await assert.rejects(bindDriver(bus, 'foo0', '../devices/foo0'), { code: 'ENOENT' });
  assert.equal(written('/sys/devices/foo0/driver_override'), '(null)\n');
  await assert.rejects(unbindDriver(bus, 'nothing'), { code: 'ENODEV' });
});

test('a node that does not appear in time undoes the binding', async () => {
  machine.vdpaDevice('foo0', { driver: 'virtio_vdpa' }).driver('vhost_vdpa');
  await assert.rejects(bindDriver(bus, 'foo0', 'vhost', { timeoutMs: 20 }), { code: 'ETIMEDOUT' });
  assert.equal(written('/sys/bus/vdpa/drivers/virtio_vdpa/unbind'), 'foo0');
  assert.equal(written('/sys/bus/vdpa/drivers/vhost_vdpa/bind'), 'foo0');
  // The override was not set before, so it is cleared again. The write is shorter than the previous content.
  assert.match(written('/sys/devices/foo0/driver_override'), /^\n/);
});

test('aborting the signal during the wait for a node undoes the binding, and before that prevents it', async () => {
  machine.vdpaDevice('foo0', { driver: 'virtio_vdpa' }).driver('vhost_vdpa');
  const reason = new Error('enough');
  const isReason = (error: unknown): boolean => error === reason;
  await assert.rejects(bindDriver(bus, 'foo0', 'vhost', { signal: AbortSignal.abort(reason) }), isReason);
  await assert.rejects(unbindDriver(bus, 'foo0', { signal: AbortSignal.abort(reason) }), isReason);
  assert.equal(written('/sys/bus/vdpa/drivers/virtio_vdpa/unbind'), '');
  const controller = new AbortController();
  const binding = bindDriver(bus, 'foo0', 'vhost', { signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(binding, isReason);
  assert.equal(written('/sys/bus/vdpa/drivers/vhost_vdpa/bind'), 'foo0');
  assert.match(written('/sys/devices/foo0/driver_override'), /^\n/);
});

test('a driver for the time of a task: the binding is restored, whether the task fails or not', async () => {
  const bind = '/sys/bus/vdpa/drivers/vhost_vdpa/bind';
  const override = '/sys/devices/foo0/driver_override';
  machine
    .vdpaDevice('foo0', { driver: 'vhost_vdpa' })
    .file(override, 'vhost_vdpa\n')
    .file('/dev/vhost-vdpa-0', '')
    .driver('virtio_vdpa');
  assert.equal(await withDriver(bus, 'foo0', 'vhost', {}, ({ name }) => Promise.resolve(`${name} done`)), 'foo0 done');
  assert.equal(written(bind), '');
  assert.match(written(override), /^vhost_vdpa\n/);
  const reason = new Error('no');
  await assert.rejects(
    withDriver(bus, 'foo0', 'virtio', {}, () => Promise.reject(reason)),
    (error) => error === reason,
  );
  // The fake kernel changes no links: for it, the device was bound all the time.
  assert.equal(written('/sys/bus/vdpa/drivers/virtio_vdpa/bind'), 'foo0');
  assert.match(written(override), /^vhost_vdpa\n/);
  await assert.rejects(
    withDriver(bus, 'bar0', 'vhost', {}, () => Promise.resolve()),
    { code: 'ENODEV' },
  );
});

test('a device in the requested state is left alone', async () => {
  machine.vdpaDevice('foo0', { driver: 'virtio_vdpa' }).file('/sys/devices/foo0/driver_override', 'virtio_vdpa\n');
  assert.equal((await bindDriver(bus, 'foo0', 'virtio')).changed, false);
  assert.equal(written('/sys/bus/vdpa/drivers/virtio_vdpa/bind'), '');
  machine.vdpaDevice('bar0');
  assert.equal((await unbindDriver(bus, 'bar0')).changed, false);
});

test('a mounted disk, or a device built on it, keeps its device bound, unless forced', async () => {
  machine
    .vdpaDevice('blk0', { driver: 'virtio_vdpa' })
    .folder('/sys/devices/blk0/virtio1/block/vda')
    .file('/sys/class/block/vda/dev', '254:0\n')
    .file('/sys/class/block/vda1/dev', '254:1\n')
    .folder('/sys/class/block/vda/vda1')
    .folder('/sys/class/block/vda1/holders/dm-0')
    .file(
      '/proc/self/mountinfo',
      '30 1 254:1 / /mnt/a\\040b rw - ext4 /dev/vda1 rw\n31 1 254:16 / /x rw - ext4 /dev/vdb rw\n',
    );
  const device = bus.device('blk0');
  assert.ok(device);
  assert.deepEqual((await findUsers(machine.files, device)).map(describeUser), [
    '/dev/vda1 is mounted on /mnt/a b',
    '/dev/dm-0 is built on /dev/vda1',
  ]);
  await assert.rejects(unbindDriver(bus, 'blk0'), { code: 'EBUSY', message: /mounted on \/mnt\/a b/ });
  assert.equal(written('/sys/bus/vdpa/drivers/virtio_vdpa/unbind'), '');
  const forced: string[] = [];
  await unbindDriver(bus, 'blk0', { force: true, onForced: (users) => forced.push(...users.map(describeInTheWay)) });
  assert.equal(forced.length, 2);
  assert.equal(written('/sys/bus/vdpa/drivers/virtio_vdpa/unbind'), 'blk0');
});
