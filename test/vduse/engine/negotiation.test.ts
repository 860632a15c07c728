import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  hasFeature,
  initialPosition,
  negotiated,
  queueSetup,
  RING_FEATURES,
} from '../../../src/vduse/engine/negotiation.js';
import type { QueueInfo } from '../../../src/vduse/kernel/device.js';

const VERSION_1 = 1n << 32n;
const ACCESS_PLATFORM = 1n << 33n;
const NEEDED = VERSION_1 | ACCESS_PLATFORM;
const offered = RING_FEATURES | (1n << 9n);

describe('features', () => {
  test('that were offered are accepted if they include those that VDUSE requires', () => {
    assert.equal(negotiated(NEEDED, offered), NEEDED);
    assert.equal(negotiated(offered, offered), offered);
  });

  test('that were not offered, or lack the required ones, are rejected', () => {
    for (const taken of [NEEDED | (1n << 5n), offered | (1n << 63n), VERSION_1, ACCESS_PLATFORM, 0n]) {
      assert.equal(negotiated(taken, offered), undefined, taken.toString(16));
    }
  });

  test('are bits, up to the last one', () => {
    assert.equal(hasFeature(1n << 63n, 63n), true);
    assert.equal(hasFeature(~(1n << 63n) & (2n ** 64n - 1n), 63n), false);
  });
});

const info: QueueInfo = {
  ready: true,
  size: 256,
  descriptorArea: 0x1000n,
  driverArea: 0x2000n,
  deviceArea: 0x3000n,
  split: { available: 17 },
  packed: { available: 0x8000 | 5, used: 0x8000 | 5 },
};

describe('a queue', () => {
  test('has the addresses that the driver set, and the features that it accepted', () => {
    assert.deepEqual(queueSetup(3, info, NEEDED | (1n << 29n), 256), {
      index: 3,
      position: 17,
      resume: false,
      layout: {
        packed: false,
        size: 256,
        descriptorArea: 0x1000,
        driverArea: 0x2000,
        deviceArea: 0x3000,
        eventIndex: true,
        indirect: false,
        maxChain: 256,
      },
    });
    const indirect = queueSetup(0, { ...info, size: 1 }, NEEDED | (1n << 28n), 256, { resume: true });
    assert.ok(typeof indirect === 'object');
    assert.deepEqual([indirect.layout.indirect, indirect.layout.eventIndex, indirect.layout.size], [true, false, 1]);
    assert.equal(indirect.resume, true);
  });

  test('that is packed has any size, and begins where the driver says', () => {
    const PACKED = NEEDED | (1n << 34n);
    const setup = queueSetup(1, { ...info, size: 77 }, PACKED, 256);
    assert.ok(typeof setup === 'object');
    assert.deepEqual([setup.layout.packed, setup.layout.size, setup.position], [true, 77, 0x8005]);
    assert.equal(initialPosition(info, PACKED), 0x8005);
    assert.equal(initialPosition(info, NEEDED), 17);
    const stopped = queueSetup(1, info, PACKED, 256, { position: 3 });
    assert.ok(typeof stopped === 'object' && stopped.position === 3);
  });

  test('that is packed is invalid if it begins outside of the ring, or with chains in flight', () => {
    const PACKED = NEEDED | (1n << 34n);
    for (const packed of [
      { available: 256, used: 256 },
      { available: 0x8000 | 256, used: 0x8000 | 256 },
      { available: 0x8001, used: 0x8000 },
      { available: 0x8000, used: 0 },
    ]) {
      assert.equal(queueSetup(0, { ...info, packed }, PACKED, 256), 'invalid');
    }
    for (const size of [0, 257, 2 ** 31]) assert.equal(queueSetup(0, { ...info, size }, PACKED, 256), 'invalid');
  });

  test('that is not ready is not checked', () => {
    assert.equal(queueSetup(0, { ...info, ready: false, size: 3 }, NEEDED, 256), 'not ready');
  });

  for (const size of [0, 3, 257, 512, 65536, 2 ** 31, 2 ** 32 - 1]) {
    test(`of ${size} descriptors, where 256 are allowed, is invalid`, () => {
      assert.equal(queueSetup(0, { ...info, size }, NEEDED, 256), 'invalid');
    });
  }

  test('at an address beyond the safe integers is invalid', () => {
    for (const place of ['descriptorArea', 'driverArea', 'deviceArea'] as const) {
      assert.equal(queueSetup(0, { ...info, [place]: 2n ** 53n }, NEEDED, 256), 'invalid');
      assert.equal(typeof queueSetup(0, { ...info, [place]: 2n ** 53n - 4096n }, NEEDED, 256), 'object');
    }
  });
});
