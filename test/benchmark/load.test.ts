import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoadError } from '../../src/benchmark/error.js';
import { descriptorsOf, planLoad, type LoadRequest } from '../../src/benchmark/load.js';
import { blockPatterns, operationsOf, overwrites } from '../../src/benchmark/patterns.js';
import { sweptDepths } from '../../src/benchmark/run.js';
import type { Target } from '../../src/vhost/target.js';
import { blockConfigOffset } from '../../src/virtio/config-space.js';
import { featureMask } from '../../src/virtio/feature-mask.js';

const MIB = 2 ** 20;

interface Disk {
  readonly features?: readonly string[];
  readonly bytes?: number;
  readonly sizeMax?: number;
  readonly segMax?: number;
  readonly blockSize?: number;
  readonly queues?: number;
  readonly queueSize?: number;
}

function disk(changes: Disk = {}): Target {
  const { features = [], bytes = 64 * MIB, sizeMax = 0, segMax = 0, blockSize = 512, queues = 1 } = changes;
  const { queueSize = 256 } = changes;
  const config = new Uint8Array(60);
  const view = new DataView(config.buffer);
  view.setBigUint64(blockConfigOffset.capacity, BigInt(bytes / 512), true);
  view.setUint32(blockConfigOffset.sizeMax, sizeMax, true);
  view.setUint32(blockConfigOffset.segMax, segMax, true);
  view.setUint32(blockConfigOffset.blkSize, blockSize, true);
  return {
    deviceId: 2,
    type: 'block',
    features: featureMask(2, ['VERSION_1', 'ACCESS_PLATFORM', ...features]),
    backendFeatures: 0n,
    queues,
    queueSize,
    addressSpaces: 1,
    config,
  };
}

const network: Target = {
  ...disk({ queues: 3 }),
  deviceId: 1,
  type: 'net',
  features: featureMask(1, ['VERSION_1', 'ACCESS_PLATFORM', 'MAC', 'CTRL_VQ', 'GUEST_TSO4']),
  config: Uint8Array.of(2, 0, 0, 0, 0, 9, 1, 0),
};

function planBlock(changes: Disk, request: LoadRequest) {
  const load = planLoad(disk(changes), request);
  assert.ok(load.type === 'block');
  return load;
}

test('patterns: what they consist of, and whether they overwrite data', () => {
  assert.deepEqual(
    blockPatterns.filter((pattern) => overwrites(pattern)),
    ['write', 'randwrite', 'rw', 'randrw'],
  );
  assert.deepEqual(operationsOf('randread'), ['read']);
  assert.deepEqual(operationsOf('rw'), ['read', 'write']);
});

test('a disk: defaults, and only features that the driver uses', () => {
  const load = planBlock({ features: ['FLUSH', 'DISCARD', 'RING_EVENT_IDX', 'RING_PACKED', 'MQ'] }, {});
  const { pattern, blockSize, depth, queues, queueSize, blocks, segmentBytes, indirect } = load;
  assert.deepEqual(
    { pattern, blockSize, depth, queues, queueSize, blocks, segmentBytes, indirect },
    {
      ...{ pattern: 'randread', blockSize: 4096, depth: 32, queues: 1, queueSize: 256 },
      ...{ blocks: 16_384, segmentBytes: 4096, indirect: false },
    },
  );
  assert.equal(
    load.features,
    featureMask(2, ['VERSION_1', 'ACCESS_PLATFORM', 'FLUSH', 'RING_EVENT_IDX', 'RING_PACKED']),
  );
});

test('a disk: several queues need MQ, and that there are so many', () => {
  const load = planBlock({ features: ['MQ'], queues: 4 }, { queues: 4 });
  assert.equal(load.queues, 4);
  assert.notEqual(load.features & featureMask(2, ['MQ']), 0n);
  assert.throws(() => planBlock({ queues: 4 }, { queues: 2 }), /has 1 queues, not 2/);
  assert.throws(() => planBlock({ features: ['MQ'], queues: 4 }, { queues: 5 }), /has 4 queues, not 5/);
});

test('a disk: segments', () => {
  const limits = { features: ['SIZE_MAX', 'SEG_MAX', 'RING_INDIRECT_DESC'], sizeMax: 4096, segMax: 32 };
  assert.equal(descriptorsOf(planBlock(limits, { blockSize: 128 * 1024 })), 34);
  assert.throws(
    () => planBlock(limits, { blockSize: 256 * 1024 }),
    /needs 64 segments of 4096 bytes; the disk permits 32/,
  );
  // A limit of 0 cannot be kept.
  assert.equal(planBlock({ features: ['SIZE_MAX'], sizeMax: 0 }, {}).segmentBytes, 4096);
});

for (const [what, changes, request, message] of [
  ['a read-only disk is not written', { features: ['RO'] }, { pattern: 'randrw' }, /read-only: randrw writes/],
  ['sectors', {}, { blockSize: 1000 }, /1000 bytes is not a multiple of the disk's 512 bytes/],
  ['blocks', { features: ['BLK_SIZE'], blockSize: 4096 }, { blockSize: 512 }, /512 .* not a multiple .* 4096 bytes/],
  ['a block of no size', { features: ['BLK_SIZE'], blockSize: 0 }, {}, /not a multiple of the disk's 0 bytes/],
  ['a small disk', { bytes: 2048 }, {}, /larger than the disk of 2048 bytes/],
  ['a small queue', { queueSize: 64 }, { depth: 32 }, /queue of 64 descriptors has room for 21 such requests, not 32/],
  ['much memory', { bytes: 2 ** 34 }, { depth: 32, blockSize: 2 ** 26 }, /would need 2147483648 bytes/],
  ['two chains for a request', {}, { depth: 64, pattern: 'rw' }, /room for 42 such requests, not 64/],
] as const) {
  test(`refused: ${what}`, () => {
    assert.throws(() => planBlock(changes, request), { name: 'LoadError', message });
  });
}

test('the size of a queue is a power of two, and as large as the driver permits', () => {
  assert.equal(planBlock({ queueSize: 200 }, { depth: 1 }).queueSize, 128);
  assert.equal(planBlock({ queueSize: 32_768 }, { depth: 1 }).queueSize, 1024);
});

test('a network: packets from its address, without offloads', () => {
  const load = planLoad(network, { depth: 256 });
  assert.ok(load.type === 'net');
  assert.deepEqual([load.blockSize, load.depth, [...load.mac]], [64, 256, [2, 0, 0, 0, 0, 9]]);
  assert.equal(load.features, featureMask(1, ['VERSION_1', 'ACCESS_PLATFORM', 'MAC']));
  for (const [request, message] of [
    [{ pattern: 'read' }, /"rw read" is for disks/],
    [{ queues: 2 }, /first pair/],
    [{ blockSize: 21 }, /22 to 1514 bytes, not 21/],
    [{ blockSize: 1515 }, /22 to 1514 bytes, not 1515/],
    [{ depth: 257 }, /room for 256/],
  ] as const) {
    assert.throws(() => planLoad(network, request), { name: 'LoadError', message });
  }
});

test('other devices have no load', () => {
  assert.throws(() => planLoad({ ...disk(), deviceId: 4, type: undefined }, {}), LoadError);
});

test('a sweep has the powers of two, and the depth', () => {
  assert.deepEqual(sweptDepths(1), [1]);
  assert.deepEqual(sweptDepths(8), [1, 2, 4, 8]);
  assert.deepEqual(sweptDepths(10), [1, 2, 4, 8, 10]);
});
