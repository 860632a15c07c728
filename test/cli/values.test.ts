import assert from 'node:assert/strict';
import { deviceTypeId } from '../../src/virtio/classes.js';
import { test } from 'node:test';
import {
  resolveFeatures,
  readDeviceType,
  readFeatures,
  readHandle,
  readMac,
  readName,
  readNumber,
} from '../../src/cli/values.js';

test('a management device is a name, or a bus and a name', () => {
  assert.equal(readHandle('vduse'), 'vduse');
  assert.equal(readHandle('pci/0000:03:00.2'), 'pci/0000:03:00.2');
  assert.throws(() => readHandle('a/b/c'), {
    message:
      'Wrong vdpa mgmtdev identification string format\nExpected "mgmtdev_bus_name/mgmtdev_name"\nExpected "mgmtdev_name"',
  });
});

test('a MAC address is six groups of one or two hexadecimal digits', () => {
  assert.equal(readMac('00:11:22:aa:BB:f'), '00:11:22:aa:bb:0f');
  assert.equal(readMac(' 0:\t+1:0x2:003:0X4:\n0005'), '00:01:02:03:04:05', "as scanf's %x reads them");
});

for (const [text, named] of [
  ['', ''],
  ['zz', 'zz'],
  ['zz:11:22:33:44:55', 'zz'],
  ['00:11:zz:yy', 'zz'],
  ['00:11:22:33:44:', ''],
  ['00:11:22:33:44:100', '100'],
  ['1.2.3.400.5', '1.2.3.400.5'],
  ['1.2.3.4.5', '1.2.3.4.5'],
  ['08.1', '08.1'],
  ['0x.1', '0x.1'],
  ['1.-1', '1.-1'],
  ['1..2', '1..2'],
  ['2.3:4', '2.3:4'],
  ['00:-1:22:33:44:55', '-1'],
  ['00:ffffffffffffffffffff:22:33:44:55', 'ffffffffffffffffffff'],
] as const) {
  test(`"${text}" is not a MAC address, and iproute2 rejects it too`, () => {
    assert.throws(() => readMac(text), { name: 'UsageError', message: `"${named}" is invalid lladdr.` });
  });
}

for (const text of [
  '00:11:22',
  '00:11:22:33:44:55:66',
  '1.2.3.4',
  '0202.0202.0202',
  '0x2.3.4.5',
  '0002.3.4.5',
  ' +2. 3',
  '2.-0',
  '2.-18446744073709551613',
  '1x:1:2:3:4:5',
  '00:11:22:33:44:0x',
  '-0:1:2:3:4:5',
  '-ffffff02:1:2:3:4:5',
  '100000002:1:2:3:4:5',
]) {
  test(`"${text}" is not a MAC address, but iproute2 accepts it`, () => {
    assert.throws(() => readMac(text), {
      name: 'StricterError',
      message: `Invalid lladdr "${text}": expected six groups of one or two hexadecimal digits, as in 00:11:22:33:44:55`,
    });
  });
}

test('a number is decimal digits within its range, read as strtoul reads it', () => {
  const read = readNumber('mtu', 68, 65535);
  for (const text of ['68', '00068', '+68', ' 68', '\t\n +68']) assert.equal(read(text), 68);
  assert.equal(read('65535'), 65535);
  for (const text of [
    '',
    ' ',
    '68 ',
    '67',
    '65536',
    '-1',
    '- 70',
    '+-70',
    '0x50',
    '1e3',
    '70.0',
    '\u00a070',
    '9'.repeat(400),
  ]) {
    assert.throws(() => read(text), { message: `Invalid mtu "${text}": expected a number from 68 to 65535` });
  }
});

test('a name is anything whose bytes fit an attribute', () => {
  for (const name of ['', 'é"\\', 'a'.repeat(65530), 'é'.repeat(32765)]) assert.equal(readName(name), name);
  const message = 'Name too long: 65531 bytes; a netlink message holds at most 65530';
  assert.throws(() => readName('a'.repeat(65531)), { message });
  assert.throws(() => readName('é'.repeat(32765) + '\udcff'), { message });
  assert.throws(() => readHandle(`pci/${'a'.repeat(65531)}`), { message });
});

test('features are a hexadecimal number of up to 64 bits, or names', () => {
  assert.deepEqual(readFeatures('0x300020000'), { bits: 0x300020000n });
  assert.deepEqual(readFeatures('300020000'), { bits: 0x300020000n });
  assert.deepEqual(readFeatures(' +0X000000000000000000ff'), { bits: 0xffn });
  assert.deepEqual(readFeatures('FFFFFFFFFFFFFFFF'), { bits: 0xffff_ffff_ffff_ffffn });
  assert.deepEqual(readFeatures('MAC,mtu,bit_40'), { names: ['MAC', 'mtu', 'bit_40'] });
  for (const text of ['', '0x', '-1', '10000000000000000', '1_0', 'MAC,', ',MAC', 'MAC MTU']) {
    assert.throws(() => readFeatures(text), { name: 'UsageError' }, text);
  }
});

test('feature names become bits according to the type of the device', () => {
  assert.equal(
    resolveFeatures({ names: ['MAC', 'mtu', 'VERSION_1', 'bit_40'] }, 1),
    (1n << 5n) | 8n | (1n << 32n) | (1n << 40n),
  );
  assert.equal(resolveFeatures({ names: ['FLUSH'] }, 2), 1n << 9n);
  for (const [name, id] of [
    ['FLUSH', 1],
    ['bit_64', 1],
    ['toString', 1],
  ] as const) {
    assert.throws(() => resolveFeatures({ names: [name] }, id), {
      message: `Unknown feature "${name}" for this device type`,
    });
  }
  assert.throws(() => resolveFeatures({ names: ['VERSION_1', 'MAC'] }, undefined), {
    message: 'Unknown feature "MAC": features of one device type require "type"',
  });
});

test('a device type is net or block', () => {
  assert.equal(deviceTypeId(readDeviceType('net')), 1);
  assert.equal(deviceTypeId(readDeviceType('block')), 2);
  assert.throws(() => readDeviceType('fs'), { message: 'Invalid type "fs": expected net or block' });
});
