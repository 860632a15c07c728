import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { Ioas, type IoasId } from '../../src/iommufd/ioas.js';
import * as uapi from '../../src/iommufd/uapi.js';
import { Errno } from '../../src/sys/errno.js';
import { SystemError } from '../../src/sys/error.js';
import { viewMemory } from '../../src/sys/memory.js';

const last = 2n ** 64n - 1n;

/** Answers an ioctl; it may write to the argument. @returns an error number, or nothing */
type Answer = (argument: DataView) => number | undefined;

/** The requests made so far, with their arguments as passed. */
let requests: { readonly request: number; readonly argument: DataView }[];
let answers: Answer[];

beforeEach(() => {
  requests = [];
  answers = [];
});

/** An ioctl(2) without a kernel. */
function call(operation: string, request: number, argument: Uint8Array): void {
  const view = new DataView(argument.buffer, argument.byteOffset, argument.length);
  requests.push({ request, argument: new DataView(argument.slice().buffer) });
  assert.equal(view.getUint32(0, true), argument.length, 'a structure begins with its size');
  const errno = answers.shift()?.(view);
  if (errno !== undefined) throw new SystemError({ operation, errno });
}

const ioas = new Ioas(call, 7 as IoasId);
const other = new Ioas(call, 9 as IoasId);

/** The only request made. */
function only(): (typeof requests)[number] {
  const [first, ...more] = requests;
  assert.ok(first);
  assert.equal(more.length, 0);
  return first;
}

/** The u64 values of the ranges that an argument points to. */
const rangesAt = (argument: DataView, count: number): BigUint64Array =>
  new BigUint64Array(viewMemory(Number(argument.getBigUint64(16, true)), count * 16));

describe('ranges', () => {
  test('are read from the memory that the request names', () => {
    answers = [
      (argument) => {
        assert.ok(argument.getUint32(8, true) >= 2);
        rangesAt(argument, 2).set([0n, 0xfedf_ffffn, 0x1_0000_0000n, last]);
        argument.setUint32(8, 2, true);
        argument.setBigUint64(24, 4096n, true);
        return undefined;
      },
    ];
    assert.deepEqual(ioas.iovaRanges(), {
      ranges: [
        { start: 0n, last: 0xfedf_ffffn },
        { start: 0x1_0000_0000n, last },
      ],
      alignment: 4096n,
    });
    const { request, argument } = only();
    assert.equal(request, uapi.IOMMU_IOAS_IOVA_RANGES);
    assert.equal(argument.getUint32(4, true), 7);
  });

  test('more than there is space for: the kernel says how many, and the request is repeated until all fit', () => {
    const tooMany =
      (count: number): Answer =>
      (argument) => {
        argument.setUint32(8, count, true);
        return Errno.EMSGSIZE;
      };
    answers = [
      tooMany(300),
      tooMany(301), // One more by now.
      (argument) => {
        assert.equal(argument.getUint32(8, true), 301);
        const words = rangesAt(argument, 301);
        for (let range = 0n; range < 301n; range++)
          words.set([range * 8192n, range * 8192n + 4095n], Number(range) * 2);
        argument.setBigUint64(24, 1n, true);
        return undefined;
      },
    ];
    const { ranges } = ioas.iovaRanges();
    assert.equal(ranges.length, 301);
    assert.deepEqual(ranges.at(-1), { start: 300n * 8192n, last: 300n * 8192n + 4095n });
    assert.deepEqual(requests.map(({ argument }) => argument.getUint32(8, true)).slice(1), [300, 301]);
  });

  test('other errors are thrown, with what was attempted', () => {
    answers = [() => Errno.ENOENT];
    assert.throws(() => ioas.iovaRanges(), { name: 'SystemError', code: 'ENOENT', message: /ranges/ });
    assert.equal(requests.length, 1);
  });

  test('that are allowed are passed in order; an empty list is valid', () => {
    answers = [
      (argument) => {
        assert.deepEqual([...rangesAt(argument, 2)], [0n, 0xffffn, 0x10_0000n, last]);
        return undefined;
      },
    ];
    ioas.allowIovas([
      { start: 0n, last: 0xffffn },
      { start: 0x10_0000n, last },
    ]);
    ioas.allowIovas([]);
    assert.deepEqual(
      requests.map(({ request, argument }) => [request, argument.getUint32(4, true), argument.getUint32(8, true)]),
      [
        [uapi.IOMMU_IOAS_ALLOW_IOVAS, 7, 2],
        [uapi.IOMMU_IOAS_ALLOW_IOVAS, 7, 0],
      ],
    );
  });
});

describe('mappings', () => {
  const chooses =
    (offset: number, iova: bigint): Answer =>
    (argument) => {
      argument.setBigUint64(offset, iova, true);
      return undefined;
    };
  const READ = uapi.IOMMU_IOAS_MAP_READABLE;
  const WRITE = uapi.IOMMU_IOAS_MAP_WRITEABLE;
  const FIXED = uapi.IOMMU_IOAS_MAP_FIXED_IOVA;

  test('of memory: at a given address, including 0, or where the kernel chooses', () => {
    assert.equal(ioas.map({ address: 0x7fff_0000_1000n, length: 8192n, iova: 0n, access: 'read' }), 0n);
    answers = [chooses(32, 0xabc_d000n)];
    assert.equal(ioas.map({ address: 0x1000n, length: 4096n, access: 'read-write' }), 0xabc_d000n);
    const [fixed, chosen] = requests;
    assert.ok(fixed && chosen);
    assert.equal(fixed.request, uapi.IOMMU_IOAS_MAP);
    assert.equal(fixed.argument.getUint32(4, true), READ | FIXED);
    assert.equal(chosen.argument.getUint32(4, true), READ | WRITE);
    assert.deepEqual(
      [8, 12].map((at) => fixed.argument.getUint32(at, true)),
      [7, 0],
    );
    assert.deepEqual(
      [16, 24, 32].map((at) => fixed.argument.getBigUint64(at, true)),
      [0x7fff_0000_1000n, 8192n, 0n],
    );
  });

  test('of a file: with its descriptor and the offset in it', () => {
    answers = [chooses(32, 0x5000n)];
    assert.equal(ioas.mapFile({ fd: 11, start: 4096n, length: 8192n, access: 'write' }), 0x5000n);
    const { request, argument } = only();
    assert.equal(request, uapi.IOMMU_IOAS_MAP_FILE);
    assert.deepEqual(
      [4, 8, 12].map((at) => argument.getUint32(at, true)),
      [WRITE, 7, 11],
    );
    assert.deepEqual(
      [16, 24, 32].map((at) => argument.getBigUint64(at, true)),
      [4096n, 8192n, 0n],
    );
  });

  test('copied from another address space: the destination comes first', () => {
    answers = [chooses(24, 0x9000n)];
    const options = { length: 4096n, sourceIova: 0x3000n, access: 'read-write' } as const;
    assert.equal(ioas.copyFrom(other, options), 0x9000n);
    const { request, argument } = only();
    assert.equal(request, uapi.IOMMU_IOAS_COPY);
    assert.deepEqual(
      [4, 8, 12].map((at) => argument.getUint32(at, true)),
      [READ | WRITE, 7, 9],
    );
    assert.deepEqual(
      [16, 24, 32].map((at) => argument.getBigUint64(at, true)),
      [4096n, 0n, 0x3000n],
    );
  });

  test('the largest addresses and lengths are passed whole', () => {
    ioas.map({ address: last, length: last, iova: last, access: 'read' });
    assert.deepEqual(
      [16, 24, 32].map((at) => only().argument.getBigUint64(at, true)),
      [last, last, last],
    );
  });

  test('the error of the kernel is thrown with its number', () => {
    answers = [() => Errno.EEXIST, () => Errno.EBADF];
    assert.throws(() => ioas.map({ address: 0n, length: 4096n, iova: 0n, access: 'read' }), { code: 'EEXIST' });
    assert.throws(() => ioas.mapFile({ fd: -1, start: 0n, length: 4096n, access: 'read' }), { code: 'EBADF' });
    assert.equal(requests[1]?.argument.getInt32(12, true), -1);
  });

  test('unmapping returns how much was mapped there', () => {
    answers = [chooses(16, 8192n)];
    assert.equal(ioas.unmap(0x1000n, 0x10_0000n), 8192n);
    const { request, argument } = only();
    assert.equal(request, uapi.IOMMU_IOAS_UNMAP);
    assert.deepEqual(
      [8, 16].map((at) => argument.getBigUint64(at, true)),
      [0x1000n, 0x10_0000n],
    );
  });

  test('unmapping everything when there is nothing is not an error, even on older kernels; others are', () => {
    answers = [chooses(16, 0n), () => Errno.ENOENT, () => Errno.EBUSY];
    assert.equal(ioas.unmapAll(), 0n);
    assert.equal(ioas.unmapAll(), 0n);
    assert.throws(() => ioas.unmapAll(), { code: 'EBUSY' });
    assert.deepEqual(
      [8, 16].map((at) => requests[0]?.argument.getBigUint64(at, true)),
      [0n, last],
    );
  });
});

describe('options', () => {
  test('the huge-page option of this address space is read and set', () => {
    answers = [
      (argument) => {
        argument.setBigUint64(16, 1n, true);
        return undefined;
      },
    ];
    assert.equal(ioas.hugePages, true);
    assert.equal(ioas.hugePages, false);
    ioas.hugePages = true;
    ioas.hugePages = false;
    assert.deepEqual(
      requests.map(({ request, argument }) => [
        request,
        argument.getUint32(4, true),
        argument.getUint16(8, true),
        argument.getUint32(12, true),
        argument.getBigUint64(16, true),
      ]),
      [
        [uapi.IOMMU_OPTION, uapi.IOMMU_OPTION_HUGE_PAGES, uapi.IOMMU_OPTION_OP_GET, 7, 0n],
        [uapi.IOMMU_OPTION, uapi.IOMMU_OPTION_HUGE_PAGES, uapi.IOMMU_OPTION_OP_GET, 7, 0n],
        [uapi.IOMMU_OPTION, uapi.IOMMU_OPTION_HUGE_PAGES, uapi.IOMMU_OPTION_OP_SET, 7, 1n],
        [uapi.IOMMU_OPTION, uapi.IOMMU_OPTION_HUGE_PAGES, uapi.IOMMU_OPTION_OP_SET, 7, 0n],
      ],
    );
  });

  test('destroying names the address space', () => {
    ioas.destroy();
    const { request, argument } = only();
    assert.deepEqual([request, argument.byteLength, argument.getUint32(4, true)], [uapi.IOMMU_DESTROY, 8, 7]);
  });
});
