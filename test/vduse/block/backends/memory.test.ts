import assert from 'node:assert/strict';
import { fstatSync } from 'node:fs';
import { describe, test } from 'node:test';
import { Errno } from '../../../../src/sys/errno.js';
import { ftruncate, memfdCreate } from '../../../../src/sys/file.js';
import { checked, close } from '../../../../src/sys/libc.js';
import { DISCARD, FLUSH, READ, SimpleBlockBackend, WRITE, WRITE_ZEROES } from '../../../../src/vduse/block/backend.js';
import { BackendError } from '../../../../src/vduse/error.js';
import { NullBackend } from '../../../../src/vduse/block/backends/null.js';
import { RamBackend } from '../../../../src/vduse/block/backends/ram.js';
import { execute, memory } from './transfers.js';

const SIZE = 2 ** 20;

function ram() {
  const fd = checked('make a memory file', memfdCreate('disk', 1));
  checked('size it', ftruncate(fd, SIZE));
  return { fd, backend: new RamBackend(fd, SIZE) };
}

describe('a disk in memory', () => {
  test('reads what was written, however the two are split into pieces', () => {
    const { fd, backend } = ram();
    for (let at = 0; at < 8192; at++) memory.u8[at] = at % 251;
    memory.u8.fill(0, 16384, 32768);
    assert.deepEqual(
      execute(backend, [
        { type: WRITE, position: 512, length: 8192, from: 0, piece: 1000 },
        { type: FLUSH },
        { type: READ, position: 512, length: 8192, from: 16384, piece: 3000 },
      ]),
      [0, 0, 0],
    );
    assert.deepEqual(memory.u8.slice(16384, 16384 + 8192), memory.u8.slice(0, 8192));
    backend.close();
    close(fd);
  });

  test('discarded ranges read as zeros and use no memory', () => {
    const { fd, backend } = ram();
    memory.u8.fill(1, 0, SIZE);
    const blocks = (): number => fstatSync(fd).blocks;
    execute(backend, [{ type: WRITE, length: SIZE, from: 0 }]);
    assert.equal(blocks(), SIZE / 512);
    const zeroed = [
      { type: DISCARD, position: 0, length: SIZE / 2 },
      { type: WRITE_ZEROES, position: SIZE / 2, length: SIZE / 2 - 512 },
    ] as const;
    assert.deepEqual(execute(backend, zeroed), [0, 0]);
    assert.ok(blocks() <= 4096 / 512, String(blocks()));
    assert.deepEqual(execute(backend, [{ type: READ, length: SIZE, from: 0 }]), [0]);
    assert.equal(memory.u8.indexOf(1), SIZE - 512);
    assert.equal(fstatSync(fd).size, SIZE);
    backend.close();
    close(fd);
  });

  test('a range that cannot be discarded is an error only for that request', () => {
    const { fd, backend } = ram();
    const errors = execute(backend, [
      { type: DISCARD, position: 0, length: 0 },
      { type: READ, length: 512, from: 0 },
    ]);
    assert.deepEqual(errors, [Errno.EINVAL, 0]);
    backend.close();
    close(fd);
  });
});

test('a null disk reads as zeros in every piece, whatever is written', () => {
  const backend = new NullBackend();
  memory.u8.fill(7, 0, 4096);
  const errors = execute(backend, [
    { type: WRITE, length: 1024, from: 0 },
    { type: FLUSH },
    { type: DISCARD, length: 512 },
    { type: READ, length: 3000, from: 0, piece: 700 },
  ]);
  assert.deepEqual(errors, [0, 0, 0, 0]);
  assert.equal(
    memory.u8.findIndex((byte) => byte !== 0),
    3000,
  );
  backend.close();
});

/** A disk whose bytes are generated, and checked, by functions. The second half fails with the error. */
class MadeDisk extends SimpleBlockBackend {
  readonly reads: (readonly [number, number])[] = [];
  readonly #error: BackendError | undefined;

  constructor(error?: BackendError) {
    super();
    this.#error = error;
  }

  protected failAt(position: number): void {
    if (this.#error && position >= 2 ** 17) throw this.#error;
  }

  read(position: number, target: Uint8Array): void {
    this.reads.push([position, target.length]);
    for (let at = 0; at < target.length; at++) target[at] = Math.floor((position + at) / 512);
    this.failAt(position);
  }
}

class StoredDisk extends MadeDisk {
  readonly writes: (readonly [number, Uint8Array])[] = [];
  flushes = 0;

  override write(position: number, source: Uint8Array): void {
    this.writes.push([position, source.slice()]);
    this.failAt(position);
  }

  override flush(): void {
    this.flushes++;
    this.failAt(SIZE);
  }
}

describe('a backend made of functions', () => {
  test('gets at most 64 KiB at a time, from one piece of memory', () => {
    const disk = new MadeDisk();
    const length = 150_000;
    assert.deepEqual(execute(disk, [{ type: READ, position: 1024, length, from: 5, piece: 100_000 }]), [0]);
    assert.deepEqual(disk.reads, [
      [1024, 65536],
      [1024 + 65536, 100_000 - 65536],
      [101_024, 50_000],
    ]);
    assert.deepEqual(
      [memory.u8[5], memory.u8[5 + 512], memory.u8[5 + 149_999]],
      [2, 3, ((1024 + 149_999) >> 9) & 0xff],
    );
  });

  test('that cannot write or discard reports so; without flush() there is nothing to flush', () => {
    const errors = execute(new MadeDisk(), [
      { type: WRITE, length: 512, from: 0 },
      { type: FLUSH },
      { type: DISCARD, length: 512 },
      { type: WRITE_ZEROES, length: 512 },
    ]);
    assert.deepEqual(errors, [Errno.EROFS, 0, Errno.EOPNOTSUPP, Errno.EOPNOTSUPP]);
    new MadeDisk().close();
  });

  test('stores what a driver writes', () => {
    const disk = new StoredDisk();
    for (let at = 0; at < 1024; at++) memory.u8[at] = at % 256;
    assert.deepEqual(execute(disk, [{ type: WRITE, position: 512, length: 1024, from: 0, piece: 600 }]), [0]);
    assert.deepEqual(
      disk.writes.map(([position, bytes]) => [position, bytes.length]),
      [
        [512, 600],
        [1112, 424],
      ],
    );
    assert.deepEqual([disk.writes[1]?.[1][0], disk.writes[1]?.[1][1]], [600 % 256, 601 % 256]);
  });

  test('that fails ends only that request with its error', () => {
    const disk = new StoredDisk(new BackendError('ENOSPC'));
    const errors = execute(disk, [
      { type: WRITE, position: 2 ** 17 - 512, length: 1536, from: 0, piece: 512 },
      { type: READ, position: 2 ** 17, length: 512, from: 0 },
      { type: READ, position: 0, length: 512, from: 0 },
      { type: FLUSH },
    ]);
    assert.deepEqual(errors, [Errno.ENOSPC, Errno.ENOSPC, 0, Errno.ENOSPC]);
    assert.equal(disk.writes.length, 2, 'the rest of the request is not written');
  });

  test('is flushed when it is closed', () => {
    const disk = new StoredDisk();
    disk.close();
    assert.equal(disk.flushes, 1);
  });
});
