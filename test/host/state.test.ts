import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JsonSyntaxError, parseJson } from '../../src/host/state/json-source.js';
import { planChanges, type Surroundings } from '../../src/host/state/plan.js';
import type { ActualDevice } from '../../src/host/state/actual.js';
import { StateFileError, readWantedState } from '../../src/host/state/wanted.js';
import { formatChange } from '../../src/render/plan.js';

test('JSON is read as JSON.parse reads it', () => {
  for (const text of [
    '{"a":[1,-2.5e3,true,false,null,"\\u00e9\\n\\"x\\\\"],"b":{"c":{}}}',
    ' [ ] ',
    '"x"',
    '0',
    '{"__proto__":1}',
  ]) {
    assert.equal(JSON.stringify(parseJson(text).value), JSON.stringify(JSON.parse(text)), text);
  }
});

test('what is no JSON is refused, with where', () => {
  const at = (text: string): string => {
    try {
      parseJson(text);
    } catch (error) {
      if (error instanceof JsonSyntaxError) return `${error.line}:${error.column}`;
    }
    return 'no error';
  };
  assert.equal(at(''), '1:1');
  assert.equal(at('{\n  "a": 1\n  "b": 2\n}'), '3:3');
  assert.equal(at('[1,\n]'), '2:1');
  assert.equal(at('{"a":1,\n\n "a":2}'), '3:5');
  assert.equal(at('[01]'), '1:2');
  assert.equal(at('["a\nb"]'), '1:2');
  assert.equal(at('[NaN]'), '1:2');
  assert.equal(at('[1] 2'), '1:5');
  assert.equal(at("{'a':1}"), '1:2');
  assert.equal(at('["\\x"]'), '1:2');
  assert.notEqual(at('['.repeat(5000)), 'no error');
  for (const text of ['{"a"', '{"a":', '[1', '"', 'tru', '{,}', '[,]', '\ufeff{}'])
    assert.notEqual(at(text), 'no error', text);
});

test('every value has its line', () => {
  const source = parseJson('{\n "a/b": [\n  1,\n  {"~": 2}\n ]\n}');
  assert.deepEqual(
    ['', '/a~1b', '/a~1b/0', '/a~1b/1/~0', '/a~1b/7/x', '/nothing'].map((path) => source.lineOf(path)),
    [1, 2, 3, 4, 2, 1],
  );
});

const surroundings: Surroundings = {
  managementDevices: [
    { name: 'net', supportedClasses: 2n },
    { bus: 'pci', name: 'both', supportedClasses: 6n },
  ],
  drivers: ['vhost_vdpa', 'virtio_vdpa'],
};

function plan(devices: object[], actual: ActualDevice[], prune = false, around = surroundings): string[] {
  const wanted = readWantedState(JSON.stringify({ version: 1, devices }), 'f');
  return planChanges(wanted, actual, around, { prune }).map(formatChange);
}

const foo: ActualDevice = {
  device: { name: 'foo', managementDevice: { name: 'net' }, deviceId: 1 },
  config: {
    kind: 'net',
    name: 'foo',
    deviceId: 1,
    mac: Uint8Array.of(2, 0, 0, 0, 0, 1),
    mtu: 1500,
    deviceFeatures: 0x28n,
  },
  onBus: { name: 'foo', driver: 'virtio_vdpa' },
};

test('a device that is as it is wanted needs no change, whatever the file leaves open', () => {
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

test('an address and a driver are changed in place, the rest takes a new device', () => {
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

test('what the file does not name is left alone, or with prune deleted first', () => {
  const add = { name: 'bar', mgmtdev: 'pci/both', type: 'block', driver: null };
  assert.deepEqual(plan([add], [foo]), ['+ bar mgmtdev pci/both driver (none)']);
  assert.deepEqual(plan([add], [foo], true), ['- foo', '+ bar mgmtdev pci/both driver (none)']);
});

test('mistakes are told by line and path', () => {
  const wrong = (device: string, around?: Surroundings): string => {
    try {
      const wanted = readWantedState(
        `{"version": 1, "devices": [\n{"name": "ok", "mgmtdev": "net"},\n${device}]}`,
        'f',
      );
      planChanges(wanted, [], around ?? surroundings, { prune: false });
    } catch (error) {
      if (error instanceof StateFileError) return error.message;
      throw error;
    }
    return '';
  };
  assert.match(wrong('{"name": "a"}'), /^f: line 3 \(\/devices\/1\) must have required property 'mgmtdev'$/);
  assert.match(wrong('{"name": "a",\n"mgmtdev": "net", "mac": "zz"}'), /^f: line 4 \(\/devices\/1\/mac\) must match /);
  assert.match(wrong('{"name": "a", "mgmtdev": "net",\n"x": 1}'), /^f: line 4 \(\/devices\/1\/x\) means nothing here$/);
  assert.match(
    wrong('{"name": "ok", "mgmtdev": "net"}'),
    /^f: line 3 \(\/devices\/1\/name\) .* at f: line 2 \(\/devices\/0\)$/,
  );
  assert.match(wrong('{"name": "a/b", "mgmtdev": "net"}'), /line 3 \(\/devices\/1\/name\)/);
  assert.match(wrong('{"name": "a", "mgmtdev": "x"}'), /\/mgmtdev\) there is no management device x$/);
  assert.match(wrong('{"name": "a", "mgmtdev": "net", "type": "block"}'), /\/type\) net makes no block devices$/);
  assert.match(wrong('{"name": "a", "mgmtdev": "net", "driver": "x"}'), /\/driver\) .*modprobe x$/);
  const sim = { ...surroundings, drivers: undefined };
  assert.match(wrong('{"name": "a", "mgmtdev": "net", "driver": "vhost"}', sim), /\/driver\) the simulated machine/);
  assert.match(
    wrong('{"name": "a", "mgmtdev": "pci/both",\n"device_features": ["VERSION_1",\n"MTU"]}'),
    /^f: line 5 \(\/devices\/1\/device_features\/1\) MTU is no feature/,
  );
  assert.match(wrong('x'), /^f: line 3, column 1: "x" is no value of JSON$/);
});
