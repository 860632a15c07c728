import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { encodeText } from '../../src/netlink/text-encoding.js';
import { parseUevent } from '../../src/uevent/uevent.js';

/** A datagram of the kernel: each entry is terminated by a NUL. */
const datagram = (...entries: readonly string[]): Uint8Array =>
  encodeText(entries.map((entry) => `${entry}\0`).join(''));

const added = [
  'add@/devices/vdpa0',
  'ACTION=add',
  'DEVPATH=/devices/vdpa0',
  'SUBSYSTEM=vdpa',
  'DRIVER=vhost_vdpa',
  'SEQNUM=4711',
] as const;

const malformed = { name: 'NetlinkProtocolError' };

describe('a kernel event', () => {
  test('has the action, the device, and all of its variables', () => {
    const { action, devpath, subsystem, variables } = parseUevent(datagram(...added));
    assert.deepEqual([action, devpath, subsystem], ['add', '/devices/vdpa0', 'vdpa']);
    assert.equal(variables.get('DRIVER'), 'vhost_vdpa');
    assert.equal(variables.get('SEQNUM'), '4711');
    // The header is not a variable.
    assert.equal(variables.size, 5);
  });

  test('a value extends from the first = to its NUL', () => {
    const { variables } = parseUevent(datagram(...added, 'MODALIAS=vdpa:d=1 v=0', 'EMPTY=', '=nameless', 'DEVNAME'));
    assert.equal(variables.get('MODALIAS'), 'vdpa:d=1 v=0');
    assert.equal(variables.get('EMPTY'), '');
    assert.equal(variables.has(''), false);
    assert.equal(variables.has('DEVNAME'), false);
  });

  test('of udev, which starts with a binary header, has the variables that follow it', () => {
    const header = Uint8Array.from([...Buffer.from('libudev\0'), 0xfe, 0xed, 0xca, 0xfe, 40, 0, 0, 0]);
    const { subsystem } = parseUevent(Uint8Array.from([...header, 0, ...datagram(...added.slice(1))]));
    assert.equal(subsystem, 'vdpa');
  });

  for (const missing of ['ACTION', 'DEVPATH', 'SUBSYSTEM']) {
    test(`without ${missing} is malformed`, () => {
      const entries = added.filter((entry) => !entry.startsWith(`${missing}=`));
      assert.throws(() => parseUevent(datagram(...entries)), malformed);
    });
  }

  test('without any NUL is malformed, even if its text is valid', () => {
    assert.throws(() => parseUevent(new Uint8Array(0)), malformed);
    assert.throws(() => parseUevent(encodeText('add@/devices/vdpa0')), malformed);
    assert.throws(() => parseUevent(encodeText('ACTION=add DEVPATH=/devices/vdpa0 SUBSYSTEM=vdpa')), malformed);
  });

  test('truncated anywhere: a partial variable is never taken for a complete one', () => {
    const whole = datagram(...added);
    const expected = parseUevent(whole);
    for (let length = 0; length < whole.length; length++) {
      let event;
      try {
        event = parseUevent(whole.subarray(0, length));
      } catch (error) {
        assert.ok(error instanceof Error && error.name === malformed.name, String(error));
        continue;
      }
      for (const [name, value] of event.variables) assert.equal(value, expected.variables.get(name), `at ${length}`);
      assert.equal(event.subsystem, 'vdpa');
    }
  });

  test('with names that are not UTF-8 preserves their bytes', () => {
    const bytes = Uint8Array.from([...datagram(...added), ...Buffer.from('INTERFACE='), 0xff, 0xc3, 0x28, 0]);
    const text = parseUevent(bytes).variables.get('INTERFACE');
    assert.deepEqual([...encodeText(text ?? '')], [0xff, 0xc3, 0x28]);
  });
});
