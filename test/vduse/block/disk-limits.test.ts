/** From what sysfs says of a disk to the configuration space that a driver reads. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { blocksOfDisk, readDiskLimits, refuseZoned } from '../../../src/vduse/block/disk-limits.js';
import { blockIdentity, blockLimits, type BlockSizes } from '../../../src/vduse/block/identity.js';
import { blockConfigOffset as at } from '../../../src/virtio/config-space.js';

const MIB = 2 ** 20;

const root = mkdtempSync(join(tmpdir(), 'vdpa-disk-limits-'));
after(() => {
  rmSync(root, { recursive: true });
});

let folders = 0;

/** A folder of a block device in sysfs. @param attributes by their path */
function sysfs(attributes: Readonly<Record<string, string | number>>): string {
  const folder = join(root, `disk${folders++}`, 'part');
  mkdirSync(folder, { recursive: true });
  for (const [name, value] of Object.entries(attributes)) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `${value}\n`);
  }
  return folder;
}

/** The configuration space of a device on the disk. */
function config(folder: string, own = { logical: 512, physical: 4096 }, wanted?: BlockSizes['logical']) {
  const blocks = blocksOfDisk(readDiskLimits(folder), own, wanted);
  const limits = blockLimits({ size: 64 * MIB, readonly: false }, 's');
  const { config: bytes } = blockIdentity({ limits, blocks, queues: 1, queueSize: 256, packed: false, hasCache: true });
  const view = new DataView(bytes.buffer);
  return {
    block: view.getUint32(at.blkSize, true),
    physicalExponent: view.getUint8(at.physicalBlockExp),
    alignment: view.getUint8(at.alignmentOffset),
    minimum: view.getUint16(at.minIoSize, true),
    optimal: view.getUint32(at.optIoSize, true),
    granularity: view.getUint32(at.discardSectorAlignment, true),
    discard: view.getUint32(at.maxDiscardSectors, true),
    zeroes: view.getUint32(at.maxWriteZeroesSectors, true),
  };
}

/** That of a disk that reports nothing: the limits are those of the server. */
const plain = {
  block: 512,
  physicalExponent: 3,
  alignment: 0,
  minimum: 8,
  optimal: 2048,
  granularity: 1,
  discard: (64 * MIB) / 512,
  zeroes: (16 * MIB) / 512,
};

const array = {
  alignment_offset: 3584,
  'queue/minimum_io_size': 65536,
  'queue/optimal_io_size': 262144,
  'queue/discard_granularity': 65536,
  'queue/discard_max_bytes': 4 * MIB + 512,
  'queue/write_zeroes_max_bytes': MIB,
  'queue/zoned': 'none',
  'queue/rotational': 1,
};

const ofArray = {
  ...plain,
  alignment: 7,
  minimum: 128,
  optimal: 512,
  granularity: 128,
  discard: (4 * MIB) / 512,
  zeroes: MIB / 512,
};

describe('what a driver sees of the disk below a device', () => {
  test('each property for which virtio has a field, in the units of the field', () => {
    assert.deepEqual(config(sysfs(array)), ofArray);
  });

  test('a partition has those of the queue of its disk, and an alignment of its own', () => {
    const partition = Object.entries(array).map(
      ([name, value]) => [name.replace(/^queue/, '../queue'), value] as const,
    );
    assert.deepEqual(config(sysfs(Object.fromEntries(partition))), ofArray);
  });

  test('sizes in blocks of 4096 bytes, and no offset that is not whole blocks', () => {
    assert.deepEqual(config(sysfs(array), { logical: 4096, physical: 4096 }), {
      ...ofArray,
      block: 4096,
      physicalExponent: 0,
      alignment: 0,
      minimum: 16,
      optimal: 64,
    });
  });

  test('a disk that reports nothing, and a machine without sysfs, have the values of a file', () => {
    const zeros = Object.fromEntries(Object.keys(array).map((name) => [name, 0]));
    assert.deepEqual(config(sysfs(zeros)), plain);
    assert.deepEqual(config(join(root, 'missing')), plain);
  });

  test('limits above those of the server, and granules that no discard can have, are not offered', () => {
    const large = {
      'queue/discard_max_bytes': 2 ** 42,
      'queue/write_zeroes_max_bytes': 2 ** 42,
      'queue/discard_granularity': 128 * MIB,
    };
    assert.deepEqual(config(sysfs(large)), plain);
  });

  test('a maximum is whole granules of discard', () => {
    const { granularity, discard } = config(sysfs({ 'queue/discard_granularity': 3 * MIB }));
    assert.deepEqual([granularity, discard], [(3 * MIB) / 512, (63 * MIB) / 512]);
  });

  test('what a field cannot hold, and what is not a number, is as if it were not reported', () => {
    const odd = {
      alignment_offset: -1,
      'queue/minimum_io_size': 2 ** 25,
      'queue/optimal_io_size': 100,
      'queue/discard_granularity': 'many',
    };
    assert.deepEqual(config(sysfs(odd)), plain);
  });
});

test('a host-managed zoned disk is rejected by its name; other disks are not', () => {
  const zoned = (value: string) => () => {
    refuseZoned('/dev/sdz', readDiskLimits(sysfs({ 'queue/zoned': value })));
  };
  assert.throws(zoned('host-managed'), { name: 'DeviceOptionError', message: /\/dev\/sdz.*host-managed zoned disk/ });
  for (const value of ['none', 'host-aware']) assert.doesNotThrow(zoned(value));
  assert.doesNotThrow(() => {
    refuseZoned('/dev/sdz', readDiskLimits(join(root, 'missing')));
  });
});
