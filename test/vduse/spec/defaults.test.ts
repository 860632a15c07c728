import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkBlockOptions } from '../../../src/vduse/spec/limits.js';
import { defaultSerial } from '../../../src/vduse/spec/defaults.js';

test('the serial number of a device is its name, truncated at a whole character if it is too long', () => {
  for (const [name, serial] of [
    ['disk0', 'disk0'],
    ['abcdefghijklmnopqrstuvwxyz', 'abcdefghijklmnopqrst'],
    ['ä'.repeat(15), 'ä'.repeat(10)],
    [`${'a'.repeat(19)}ä`, 'a'.repeat(19)],
    ['💾'.repeat(6), '💾'.repeat(5)],
  ] as const) {
    assert.equal(defaultSerial(name), serial);
    checkBlockOptions({ queues: 1, queueSize: 256, serial: defaultSerial(name) });
  }
});
