import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planChanges, type ActualState } from '../../../src/host/state/plan.js';
import type { ActualDevice } from '../../../src/host/state/actual.js';
import { StateFileError, readDesiredState } from '../../../src/host/state/desired.js';
import { formatChange } from '../../../src/render/plan.js';
import type { VduseInstance } from '../../../src/vduse/daemon/servers.js';

const actualState: ActualState = {
  managementDevices: [
    { handle: 'net', supportedClasses: 2n },
    { handle: 'pci/both', supportedClasses: 6n },
  ],
  drivers: ['vhost_vdpa', 'virtio_vdpa'],
};

function plan(devices: object[], actual: ActualDevice[], prune = false, around = actualState): string[] {
  const wanted = readDesiredState(JSON.stringify({ version: 1, devices }), 'f');
  return planChanges(wanted, actual, around, { prune }).map(formatChange);
}

const foo: ActualDevice = {
  device: { name: 'foo', managementDevice: 'net', deviceId: 1 },
  config: {
    kind: 'net',
    name: 'foo',
    deviceId: 1,
    mac: '02:00:00:00:00:01',
    mtu: 1500,
    deviceFeatures: 0x28n,
  },
  onBus: { name: 'foo', driver: 'virtio_vdpa' },
};

test('a device that matches needs no change, whatever the file leaves out', () => {
  for (const more of [
    {},
    { mac: '2:0:0:0:0:1' },
    { mtu: 1500, max_vqp: 1 },
    { device_features: ['MAC', 'mtu'] },
    { driver: 'virtio' },
    { type: 'net' },
  ]) {
    assert.deepEqual(plan([{ name: 'foo', mgmtdev: 'net', ...more }], [foo]), [], JSON.stringify(more));
  }
});

test('an address and a driver are changed in place, anything else requires a new device', () => {
  const change = (more: object): string[] => plan([{ name: 'foo', mgmtdev: 'net', ...more }], [foo]);
  assert.deepEqual(change({ mac: '02:00:00:00:00:02', driver: 'vhost' }), [
    '~ foo mac 02:00:00:00:00:01 -> 02:00:00:00:00:02',
    '~ foo driver virtio_vdpa -> vhost_vdpa',
  ]);
  assert.deepEqual(change({ driver: null }), ['~ foo driver virtio_vdpa -> (none)']);
  assert.deepEqual(change({ mtu: 9000, mac: '02:00:00:00:00:02' }), [
    '! foo mac 02:00:00:00:00:01 -> 02:00:00:00:00:02 mtu 1500 -> 9000',
  ]);
  assert.deepEqual(change({ device_features: ['MAC', 'bit_40'] }), ['! foo device_features MTU,MAC -> MAC,RING_RESET']);
  assert.deepEqual(change({ mgmtdev: 'pci/both' }), ['! foo mgmtdev net -> pci/both']);
});

test('what the file does not name is left alone, or with prune deleted last', () => {
  const add = { name: 'bar', mgmtdev: 'pci/both', type: 'block', driver: null };
  assert.deepEqual(plan([add], [foo]), ['+ bar mgmtdev pci/both driver (none)']);
  assert.deepEqual(plan([add], [foo], true), ['+ bar mgmtdev pci/both driver (none)', '- foo']);
});

const status = {
  name: 'vd',
  device: {
    type: 'block',
    queues: 1,
    queue_size: 256,
    packed: false,
    restart: false,
    backend: 'file',
    path: '/srv/vd',
    block_size: 512,
    readonly: false,
    serial: 'vd',
  },
  size: 8192,
  deviceId: 2,
  state: 'running',
  attached: true,
  deleted: false,
  driverStatus: 15,
  features: '0x0',
  queueSize: 256,
  queues: [{ state: 'running', requests: 0, bytesIn: 0, bytesOut: 0, errors: 0, interrupts: 0 }],
} as const;
const vd: ActualDevice = {
  device: { name: 'vd', managementDevice: 'vduse', deviceId: 2 },
  config: { kind: 'block', name: 'vd', deviceId: 2 },
};

/** The plan for one VDUSE device. */
function planServer(more: object, there: boolean, ...instances: VduseInstance[]): string[] {
  const around = { managementDevices: [{ handle: 'vduse', supportedClasses: 6n }], drivers: [], instances };
  return plan([{ name: 'vd', mgmtdev: 'vduse', ...more }], there ? [vd] : [], false, around);
}

test('the server of a VDUSE device: only what the file specifies is compared', () => {
  const here = { name: 'vd', server: 'vdpa', status } as const;
  for (const server of [
    {},
    { path: '/srv/vd' },
    { path: '/srv/x/../vd', backend: 'file', size: '8K', queues: 1, queue_size: 256, packed: false, restart: false },
  ]) {
    assert.deepEqual(planServer({ server }, true, here), [], JSON.stringify(server));
    assert.deepEqual(planServer({ server }, false, { ...here, status: { ...status, attached: false } }), [
      '+ vd mgmtdev vduse',
    ]);
  }
  assert.deepEqual(planServer({}, true, here), []);
  assert.deepEqual(planServer({ server: { path: '/srv/other', user: 'nobody' } }, true, here), [
    '! vd path /srv/vd -> /srv/other user (none) -> nobody',
  ]);
  assert.deepEqual(planServer({ server: { size: '64M' } }, true, here), ['! vd size 8192 -> 67108864']);
  assert.deepEqual(planServer({ type: 'net', mac: '2:0:0:0:0:1', server: { ifname: 'tap0' } }, true, here), [
    '! vd type block -> net mac (none) -> 02:00:00:00:00:01 backend file -> tap ifname (none) -> tap0',
  ]);
});

test('the server of a VDUSE device: started, replaced, taken over, or rejected', () => {
  const dead = { name: 'vd', server: 'none', attached: true } as const;
  const theirs = { name: 'vd', server: 'other', attached: true } as const;
  const inFile = { server: { path: '/srv/vd' } };
  assert.deepEqual(planServer(inFile, false), ['+ vd mgmtdev vduse type block path /srv/vd']);
  assert.deepEqual(planServer(inFile, false, { ...dead, attached: false }), [
    '+ vd mgmtdev vduse type block path /srv/vd',
  ]);
  assert.deepEqual(planServer(inFile, true, dead), ['~ vd server (none) -> vdpa']);
  assert.deepEqual(planServer({ server: {} }, true, dead), ['! vd server (none) -> vdpa']);
  assert.deepEqual(planServer({}, true, theirs), []);
  assert.deepEqual(planServer({}, false, theirs), ['+ vd mgmtdev vduse']);
  const refused = (more: object, there: boolean, ...instances: VduseInstance[]): string => {
    try {
      return planServer(more, there, ...instances).join();
    } catch (error) {
      assert.ok(error instanceof StateFileError);
      return error.message;
    }
  };
  assert.match(refused({}, false), /^f: line 1 \(\/devices\/0\/server\) vd has no server: start one first/);
  assert.match(refused(inFile, true, theirs), /vd is served by another program/);
  assert.match(refused(inFile, false, theirs), /vd is served by another program/);
  assert.match(
    refused({ type: 'net' }, true, theirs),
    /the server of vd decides its attributes: type is block, not net/,
  );
  const waiting = { name: 'vd', server: 'vdpa', status: { ...status, attached: false } } as const;
  assert.match(
    refused({ server: { queues: 2 } }, false, waiting),
    /not attached, with queues 1, not 2: run "vdpa vduse del vd"/,
  );
});

test('errors are reported by line and path', () => {
  const wrong = (device: string, around?: ActualState): string => {
    try {
      const wanted = readDesiredState(
        `{"version": 1, "devices": [\n{"name": "ok", "mgmtdev": "net"},\n${device}]}`,
        'f',
      );
      planChanges(wanted, [], around ?? actualState, { prune: false });
    } catch (error) {
      if (error instanceof StateFileError) return error.message;
      throw error;
    }
    return '';
  };
  assert.match(wrong('{"name": "a"}'), /^f: line 3 \(\/devices\/1\) must have required property 'mgmtdev'$/);
  assert.match(wrong('{"name": "a",\n"mgmtdev": "net", "mac": "zz"}'), /^f: line 4 \(\/devices\/1\/mac\) must match /);
  assert.match(wrong('{"name": "a", "mgmtdev": "net",\n"x": 1}'), /^f: line 4 \(\/devices\/1\/x\) is an unknown key$/);
  assert.match(
    wrong('{"name": "ok", "mgmtdev": "net"}'),
    /^f: line 3 \(\/devices\/1\/name\) .* at f: line 2 \(\/devices\/0\)$/,
  );
  assert.match(wrong('{"name": "a/b", "mgmtdev": "net"}'), /line 3 \(\/devices\/1\/name\)/);
  assert.match(wrong('{"name": "a", "mgmtdev": "x"}'), /\/mgmtdev\) no such management device: x$/);
  assert.match(
    wrong('{"name": "a", "mgmtdev": "net", "type": "block"}'),
    /\/type\) net does not support block devices$/,
  );
  assert.match(
    wrong('{"name": "a", "mgmtdev": "net", "driver": "x"}'),
    /\/driver\) driver x is not registered .*modprobe x"$/,
  );
  const unread = { ...actualState, drivers: undefined };
  assert.match(
    wrong('{"name": "a", "mgmtdev": "net", "driver": "vhost"}', unread),
    /\/driver\) the drivers of the vdpa bus are not known here/,
  );
  assert.match(
    wrong('{"name": "a", "mgmtdev": "pci/both",\n"device_features": ["VERSION_1",\n"MTU"]}'),
    /^f: line 5 \(\/devices\/1\/device_features\/1\) unknown feature MTU/,
  );
  assert.match(wrong('x'), /^f: line 3, column 1: invalid value "x"$/);
});
