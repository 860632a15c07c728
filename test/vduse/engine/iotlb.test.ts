import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { ftruncate, memfdCreate, MFD_HUGETLB } from '../../../src/sys/file.js';
import { checked, close, libc } from '../../../src/sys/libc.js';
import {
  MAP_SHARED,
  mapAnonymous,
  mapFile,
  pageSize,
  PROT_READ,
  PROT_WRITE,
  unmap,
  viewMemory,
} from '../../../src/sys/memory.js';
import { copyMemory } from '../../../src/sys/guarded-copy.js';
import type { IotlbEntry } from '../../../src/vduse/kernel/device.js';
import { Iotlb } from '../../../src/vduse/engine/iotlb.js';
import { MappingTable } from '../../../src/vduse/engine/mappings.js';

const MIB = 2 ** 20;
const dup: (fd: number) => number = libc.func('int dup(int fd)');

interface Region {
  readonly start: number;
  readonly end: number;
  /** The offset in the file. */
  readonly offset: number;
}

/** A device whose driver has a memory file mapped at these addresses. */
function deviceOf(fd: number, regions: readonly Region[]) {
  return {
    iotlbEntry(iova: bigint): IotlbEntry | undefined {
      const region = regions.find(({ start, end }) => iova >= BigInt(start) && iova < BigInt(end));
      return (
        region && {
          fd: checked('duplicate a descriptor', dup(fd)),
          start: BigInt(region.start),
          last: BigInt(region.end - 1),
          offset: BigInt(region.offset),
          readable: true,
          writable: true,
        }
      );
    },
  };
}

/** A memory file, and a view of it. */
function memoryFile(
  length: number,
  flags = 0,
): { readonly fd: number; readonly address: number; readonly u8: Uint8Array } {
  const fd = checked('create a memory file', memfdCreate('driver', 1 | flags));
  checked('size it', ftruncate(fd, length));
  const address = mapFile('map it', fd, length, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
  return { fd, address, u8: new Uint8Array(viewMemory(address, length)) };
}

const mappings = (): number => readFileSync('/proc/self/maps', 'latin1').split('\n').length;

const HUGE_PAGES = '/proc/sys/vm/nr_hugepages';
const HUGE_BYTES = 2 * MIB;
const WANTED = 4;

/** Reserves huge pages for the tests. @returns why it cannot, or how many there were before */
function reserveHugePages(): { readonly skip: string } | { readonly before: number } {
  try {
    const before = Number(readFileSync(HUGE_PAGES, 'latin1'));
    if (!/^Hugepagesize:\s+2048 kB$/m.test(readFileSync('/proc/meminfo', 'latin1')))
      return { skip: 'other huge pages' };
    writeFileSync(HUGE_PAGES, String(before + WANTED));
    if (Number(readFileSync(HUGE_PAGES, 'latin1')) >= before + WANTED) return { before };
    writeFileSync(HUGE_PAGES, String(before));
    return { skip: 'no memory for huge pages' };
  } catch (error) {
    return { skip: `cannot reserve huge pages: ${String(error)}` };
  }
}

describe('memory of a driver on huge pages', () => {
  let reservedBefore: number | undefined;
  let skip: string | undefined;

  before(() => {
    const reserved = reserveHugePages();
    if ('skip' in reserved) skip = reserved.skip;
    else reservedBefore = reserved.before;
  });

  after(() => {
    if (reservedBefore !== undefined) writeFileSync(HUGE_PAGES, String(reservedBefore));
  });

  test('is mapped at any offset, and unmapped', (context) => {
    if (skip !== undefined) {
      context.skip(skip);
      return;
    }
    const length = WANTED * HUGE_BYTES;
    const { fd, address, u8 } = memoryFile(length, MFD_HUGETLB);
    // As on a PC: there is a hole below 1 MiB, and the rest begins in the middle of a huge page.
    const regions = [
      { start: 0, end: 0xa0000, offset: 0 },
      { start: 0x100000, end: length, offset: 0x100000 },
      { start: 2 ** 32 + 0x3000, end: 2 ** 32 + 0x5000, offset: HUGE_BYTES - 0x1000 },
    ];
    const byte = mapAnonymous('allocate a byte', pageSize);
    new Uint8Array(viewMemory(byte, 1))[0] = 0xa5;
    const iotlb = new Iotlb(deviceOf(fd, regions), MappingTable.allocate());
    const mappingsBefore = mappings();
    for (const [iova, offset] of [
      [0x1000, 0x1000],
      [0x100000, 0x100000],
      [length - 1, length - 1],
      [2 ** 32 + 0x4567, HUGE_BYTES + 0x567],
    ] as const) {
      u8[offset] = 0x5a;
      const region = iotlb.find(iova);
      assert.ok(region, `${iova.toString(16)} is not mapped`);
      assert.equal(region.u8[iova - region.start], 0x5a);
      assert.ok(copyMemory(region.address + (iova - region.start), byte, 1));
      assert.equal(u8[offset], 0xa5);
    }
    assert.equal(iotlb.find(0xb0000), undefined);
    iotlb.invalidate(0x100000n, 0x100fffn);
    assert.ok(iotlb.find(0x100000));
    iotlb.invalidate(0n, 2n ** 64n - 1n);
    assert.equal(mappings(), mappingsBefore);
    unmap('unmap it', address, length);
    close(fd);
  });
});
