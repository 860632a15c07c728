import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { afterEach, beforeEach, test } from 'node:test';
import { Iommufd, type Ioas } from '../../src/iommufd/index.js';
import { ftruncate, memfdCreate } from '../../src/sys/file.js';
import { NativeBuffer } from '../../src/sys/memory.js';

const page = 4096n;
const last = 0xffff_ffff_ffff_ffffn;

let iommufd: Iommufd;
let ioas: Ioas;

beforeEach(() => {
  iommufd = Iommufd.open();
  ioas = iommufd.allocateIoas();
});

afterEach(() => {
  iommufd.close();
});

test('a new address space is allowed from end to end', () => {
  const { ranges, alignment } = ioas.iovaRanges();
  assert.deepEqual(ranges, [{ start: 0n, last }]);
  assert.ok(alignment >= 1n && alignment <= page);
});

test('address spaces have distinct IDs, and destroying one invalidates it', () => {
  const second = iommufd.allocateIoas();
  assert.notEqual(second.id, ioas.id);
  second.destroy();
  assert.throws(() => second.iovaRanges(), { code: 'ENOENT' });
  assert.throws(
    () => {
      second.destroy();
    },
    { code: 'ENOENT' },
  );
  ioas.iovaRanges();
});

test('memory is mapped at the requested address, or where the kernel finds space, and nowhere twice', () => {
  const memory = new NativeBuffer(4 * 4096);
  const address = BigInt(memory.address);
  const at = ioas.map({ address, length: 2n * page, iova: 0x10_0000n, access: 'read-write' });
  assert.equal(at, 0x10_0000n);
  assert.throws(() => ioas.map({ address, length: page, iova: 0x10_1000n, access: 'read' }), { code: 'EEXIST' });
  const chosen = ioas.map({ address: address + 2n * page, length: 2n * page, access: 'write' });
  assert.ok(chosen + 2n * page <= at || chosen >= at + 2n * page);
  assert.equal(ioas.unmap(at, 2n * page), 2n * page);
  assert.throws(() => ioas.unmap(at, 2n * page), { code: 'ENOENT' });
  assert.equal(ioas.unmapAll(), 2n * page);
  assert.equal(ioas.unmapAll(), 0n);
  memory.free();
});

test('a mapping is not split', () => {
  const memory = new NativeBuffer(2 * 4096);
  const iova = ioas.map({ address: BigInt(memory.address), length: 2n * page, access: 'read' });
  assert.throws(() => ioas.unmap(iova, page), { code: 'ENOENT' });
  assert.equal(ioas.unmapAll(), 2n * page);
  memory.free();
});

test('invalid lengths and addresses', () => {
  const memory = new NativeBuffer(4096);
  const address = BigInt(memory.address);
  assert.throws(() => ioas.map({ address, length: 0n, access: 'read' }), { code: 'EINVAL' });
  assert.throws(() => ioas.map({ address, length: last, access: 'read' }), { code: 'EOVERFLOW' });
  assert.throws(() => ioas.map({ address, length: page, iova: last, access: 'read' }), { code: 'EOVERFLOW' });
  memory.free();
});

test('a mapping is copied to another address space, or within one', () => {
  const memory = new NativeBuffer(2 * 4096);
  const sourceIova = ioas.map({ address: BigInt(memory.address), length: 2n * page, access: 'read-write' });
  const other = iommufd.allocateIoas();
  const iova = 0x4000_0000n;
  assert.equal(other.copyFrom(ioas, { sourceIova, length: 2n * page, iova, access: 'read' }), iova);
  const second = ioas.copyFrom(ioas, { sourceIova, length: 2n * page, access: 'read' });
  assert.notEqual(second, sourceIova);
  assert.equal(ioas.unmapAll(), 4n * page);
  // The copy keeps the memory by itself.
  assert.equal(other.unmap(iova, 2n * page), 2n * page);
  assert.throws(() => other.copyFrom(ioas, { sourceIova, length: page, access: 'read' }), { code: 'ENOENT' });
  memory.free();
});

test('a file in memory is mapped', () => {
  const fd = memfdCreate('iommufd test', 0);
  ftruncate(fd, 4 * 4096);
  const iova = ioas.mapFile({ fd, start: page, length: 2n * page, iova: 0x2000_0000n, access: 'read-write' });
  assert.equal(iova, 0x2000_0000n);
  assert.equal(ioas.unmapAll(), 2n * page);
  assert.throws(() => ioas.mapFile({ fd: -1, start: 0n, length: page, access: 'read' }), { code: 'EBADF' });
  closeSync(fd);
});

test('allowed ranges are where the kernel puts mappings', () => {
  const memory = new NativeBuffer(4096);
  const address = BigInt(memory.address);
  const allowed = Array.from({ length: 100 }, (_, index) => {
    const start = 0x1_0000_0000n + BigInt(index) * 0x10_0000n;
    return { start, last: start + page - 1n };
  });
  ioas.allowIovas(allowed);
  const placed = new Set(allowed.map(() => ioas.map({ address, length: page, access: 'read' })));
  assert.deepEqual(
    [...placed].sort(),
    allowed.map(({ start }) => start),
  );
  assert.throws(() => ioas.map({ address, length: page, access: 'read' }), { code: 'ENOSPC' });
  // They do not restrict explicit addresses.
  ioas.map({ address, length: page, iova: 0n, access: 'read' });
  assert.throws(
    () => {
      ioas.allowIovas([{ start: 2n, last: 1n }]);
    },
    { code: 'EINVAL' },
  );
  ioas.allowIovas([]);
  ioas.map({ address, length: page, access: 'read' });
  ioas.unmapAll();
  memory.free();
});

test('huge pages are an option of each address space', () => {
  assert.equal(ioas.hugePages, true);
  ioas.hugePages = false;
  assert.equal(ioas.hugePages, false);
  assert.equal(ioas.iovaRanges().alignment, page);
  assert.equal(iommufd.allocateIoas().hugePages, true);
  ioas.hugePages = true;
  assert.equal(ioas.hugePages, true);
});

test('the rlimit mode is set while nothing exists yet', () => {
  const fresh = Iommufd.open();
  assert.equal(fresh.rlimitMode, 'user');
  fresh.rlimitMode = 'process';
  assert.equal(fresh.rlimitMode, 'process');
  fresh.allocateIoas();
  assert.throws(
    () => {
      fresh.rlimitMode = 'user';
    },
    { code: 'EBUSY' },
  );
  fresh.close();
  fresh.close();
});

test('the address space of VFIO compatibility is set, reported and removed', () => {
  assert.equal(iommufd.vfioIoas, undefined);
  iommufd.vfioIoas = ioas;
  assert.deepEqual(iommufd.vfioIoas, ioas);
  iommufd.vfioIoas = undefined;
  assert.equal(iommufd.vfioIoas, undefined);
  ioas.iovaRanges();
});

test('if there is no such file, the error says what to do', () => {
  assert.throws(() => Iommufd.open('/dev/no-iommu'), { code: 'ENOENT', message: /modprobe iommufd/ });
});
