import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Errno } from '../../../src/sys/errno.js';
import { SystemError } from '../../../src/sys/error.js';
import { RING_FEATURES } from '../../../src/vduse/engine/negotiation.js';
import { isAttached, probeInstance } from '../../../src/vduse/engine/takeover.js';

const identity = {
  deviceId: 1,
  vendorId: 0,
  features: RING_FEATURES | (1n << 5n),
  config: new Uint8Array(8),
  queueCount: 2,
  queueSize: 256,
};

/** An instance with this many queues, whose driver accepted these features, or which has no driver. */
const instance = (queues: number, features: bigint | undefined, errno: number = Errno.EINVAL) => ({
  queueInfo: (index: number) => {
    if (index >= queues) throw new SystemError({ operation: 'read a queue', errno });
    return {
      ready: false,
      size: 0,
      descriptorArea: 0n,
      driverArea: 0n,
      deviceArea: 0n,
      split: { available: 0 },
      packed: { available: 0, used: 0 },
    };
  },
  driverFeatures: () => features ?? 0n,
  interruptForConfig: () => {
    if (features === undefined) throw new SystemError({ operation: 'interrupt', errno });
  },
});

describe('an instance that is to be served again', () => {
  test('without a driver has no features; with one it has those that the driver accepted', () => {
    assert.equal(probeInstance(instance(2, undefined), 'foo', identity), undefined);
    assert.equal(probeInstance(instance(2, RING_FEATURES), 'foo', identity), RING_FEATURES);
  });

  for (const queues of [1, 3]) {
    test(`with ${queues} queues does not match one with two`, () => {
      assert.throws(() => probeInstance(instance(queues, undefined), 'foo', identity), {
        name: 'DeviceOptionError',
        message: /foo.*2/,
      });
    });
  }

  test('whose driver uses features that are no longer offered is not served, and the error names them', () => {
    assert.throws(() => probeInstance(instance(2, RING_FEATURES | (1n << 7n)), 'foo', identity), {
      name: 'DeviceOptionError',
      message: /foo.*0x80\b/,
    });
  });

  test('that the kernel does not report is an error', () => {
    assert.throws(() => probeInstance(instance(1, undefined, Errno.EPERM), 'foo', identity), { code: 'EPERM' });
    const device = {
      ...instance(2, undefined),
      interruptForConfig: instance(2, undefined, Errno.EIO).interruptForConfig,
    };
    assert.throws(() => probeInstance(device, 'foo', identity), { code: 'EIO' });
  });
});

test('whether a device is on the bus is not looked up under a name that is a path', () => {
  assert.equal(isAttached('no-such-device'), false);
  for (const name of ['../devices', '..', '', 'a/b']) {
    assert.throws(() => isAttached(name), { name: 'DeviceNameError' });
  }
});
