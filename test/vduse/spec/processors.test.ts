import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { toDeviceSpec } from '../../../src/vduse/spec/arguments.js';
import { checkCpus, parseCpus } from '../../../src/vduse/spec/processors.js';

const machine = { allowed: [0, 2], online: [0, 1, 2, 3] };

describe('the processors of a device', () => {
  test('are numbers and ranges', () => {
    assert.deepEqual(parseCpus('2-3,0'), [2, 3, 0]);
    const expected = {
      name: 'DeviceOptionError',
      message: 'Invalid cpus "3-2": expected a list of processors, such as 0-3,5',
    };
    assert.throws(() => parseCpus('3-2'), expected);
    assert.throws(() => toDeviceSpec('vd0', { cpus: '3-2' }), expected);
    assert.throws(() => toDeviceSpec('vn0', { type: 'net', cpus: '3-2' }), expected);
  });

  test('are those that exist and that the server may use', () => {
    assert.doesNotThrow(() => {
      checkCpus([2, 0, 2], machine);
    });
  });

  const refused: readonly (readonly [number[], Parameters<typeof checkCpus>[1], string])[] = [
    [[0, 7], machine, 'processor 7 does not exist or is offline; this machine has 0-3'],
    [[0, 1], machine, 'processor 1 is not allowed for this process, which may use 0,2'],
    [[1], { allowed: [0], online: undefined }, 'processor 1 is not allowed for this process, which may use 0'],
    [[], machine, 'expected at least one processor'],
  ];
  for (const [cpus, processors, why] of refused) {
    test(`are rejected with "${why}"`, () => {
      assert.throws(
        () => {
          checkCpus(cpus, processors);
        },
        { name: 'DeviceOptionError', message: `Invalid cpus: ${why}` },
      );
    });
  }
});
