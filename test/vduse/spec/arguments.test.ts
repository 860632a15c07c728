import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatArguments,
  fromEntry,
  readServerEntry,
  serverPart,
  toDeviceSpec,
  toEntry,
} from '../../../src/vduse/spec/arguments.js';
import type { ServedDeviceSpec } from '../../../src/vduse/spec/device-spec.js';
import { DeviceOptionError } from '../../../src/vduse/spec/error.js';
import { resolveSpec } from '../../../src/vduse/spec/resolve.js';

const disk = {
  name: 'vd0',
  type: 'block',
  queues: 2,
  queueSize: 128,
  packed: true,
  user: 'nobody',
  restart: true,
  backend: 'file',
  path: '/srv/vd0.img',
  size: 8192,
  blockSize: 4096,
  readonly: true,
  serial: 'S 1',
} as const satisfies ServedDeviceSpec;

const nic = {
  name: 'vn0',
  type: 'net',
  queues: 4,
  restart: false,
  backend: 'tap',
  ifname: 'tap0',
  mac: '02:00:00:00:00:01',
  mtu: 9000,
} as const satisfies ServedDeviceSpec;

test('a device as the arguments of a command line', () => {
  assert.deepEqual(formatArguments(disk), [
    ...['name', 'vd0', 'type', 'block', 'queues', '2', 'queue_size', '128', 'packed', 'on'],
    ...['user', 'nobody', 'restart', 'on'],
    ...['backend', 'file', 'path', '/srv/vd0.img', 'size', '8192', 'block_size', '4096', 'readonly', 'serial', 'S 1'],
  ]);
  assert.deepEqual(formatArguments(nic), [
    ...['name', 'vn0', 'type', 'net', 'queues', '4', 'restart', 'off'],
    ...['backend', 'tap', 'ifname', 'tap0', 'mac', '02:00:00:00:00:01', 'mtu', '9000'],
  ]);
  assert.deepEqual(formatArguments({ ...disk, readonly: false }).includes('readonly'), false);
});

test('a device in JSON and back', () => {
  for (const device of [disk, nic, { name: 'a', type: 'block' }, { name: 'b', type: 'net' }] as const) {
    assert.deepEqual(fromEntry(device.name, JSON.parse(JSON.stringify(toEntry(device))) as never), device);
  }
});

test('the fields of a device in the server section of a file', () => {
  assert.deepEqual(serverPart(toEntry(nic)), { queues: 4, restart: false, backend: 'tap', ifname: 'tap0' });
});

test('a device with its defaults', () => {
  assert.deepEqual(toEntry(resolveSpec({ name: 'vd1', type: 'block' })), {
    ...{ type: 'block', queues: 1, queue_size: 256, packed: false, restart: false, backend: 'ram' },
    ...{ size: 67108864, block_size: 512, readonly: false, serial: 'vd1' },
  });
  const { mac, ...net } = toEntry(resolveSpec({ name: 'vn1', type: 'net', ifname: 'tap1' }));
  assert.match(mac ?? '', /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/);
  assert.deepEqual(net, {
    type: 'net',
    queues: 1,
    queue_size: 256,
    packed: false,
    restart: false,
    backend: 'tap',
    ifname: 'tap1',
  });
  // The file may grow.
  assert.equal(resolveSpec({ name: 'vd2', type: 'block', path: '/f' }).type === 'block' && toEntry(disk).size, 8192);
  assert.equal(toEntry(resolveSpec({ name: 'vd2', type: 'block', path: '/f' })).size, undefined);
});

test('arguments of the other type are rejected, and so is its backend', () => {
  for (const [values, message] of [
    [{ mtu: 1500 }, '"mtu" is only supported by net devices; this one is of type block'],
    [{ type: 'net', path: '/f' }, '"path" is only supported by block devices; this one is of type net'],
    [{ type: 'net', backend: 'ram' }, 'Backend "ram" is not supported by net devices: expected loopback, tap'],
    [{ backend: 'tap' }, 'Backend "tap" is not supported by block devices: expected ram, file, nbd, null'],
  ] as const) {
    assert.throws(() => toDeviceSpec('x', values), { name: DeviceOptionError.name, message });
  }
});

test('a size in a file may have a unit', () => {
  assert.deepEqual(readServerEntry({ size: '64M', path: '/f' }), { size: 67108864, path: '/f' });
  assert.deepEqual(readServerEntry({ size: 512 }), { size: 512 });
  assert.throws(() => readServerEntry({ size: '64X' }), DeviceOptionError);
});
