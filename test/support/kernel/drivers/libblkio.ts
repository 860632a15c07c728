/**
 * libblkio, through FFI: a third-party driver of block devices through /dev/vhost-vdpa-N. Mirrors its blkio.h, 1.5.
 */
import '../lab/inside.js';
import assert from 'node:assert/strict';
import { koffi } from '../../../../src/sys/koffi.js';
import { viewMemory } from '../../../../src/sys/memory.js';

/** The path of the library in the lab; for `needs`. */
export const LIBBLKIO = '/run/lib/libblkio.so.1';

/** struct blkio_mem_region, whose address comes first; struct blkio_completion: user data, message, result. */
const REGION_BYTES = 40;
const COMPLETION_BYTES = 32;
const RESULT = 16;

const LIMIT_S = 60n;

interface Functions {
  readonly create: (driver: string, out: BigUint64Array) => number;
  readonly setString: (handle: number, name: string, value: string) => number;
  readonly setNumber: (handle: number, name: string, value: number) => number;
  readonly getU64: (handle: number, name: string, out: BigUint64Array) => number;
  readonly connect: (handle: number) => number;
  readonly start: (handle: number) => number;
  readonly allocate: (handle: number, region: Uint8Array, length: number) => number;
  readonly map: (handle: number, region: Uint8Array) => number;
  readonly queue: (handle: number, index: number) => number;
  readonly read: (queue: number, start: number, address: number, length: number, user: number, flags: number) => void;
  readonly write: (queue: number, start: number, address: number, length: number, user: number, flags: number) => void;
  readonly writeZeros: (queue: number, start: number, length: number, user: number, flags: number) => void;
  readonly discard: (queue: number, start: number, length: number, user: number, flags: number) => void;
  readonly flush: (queue: number, user: number, flags: number) => void;
  readonly doIo: (queue: number, done: Uint8Array, least: number, most: number, time: BigInt64Array) => number;
  readonly message: () => string;
  readonly destroy: (handle: BigUint64Array) => void;
}

function load(): Functions {
  const library = koffi.load(LIBBLKIO);
  const transfer = 'uintptr_t q, uint64_t start, uintptr_t buffer, size_t length, uintptr_t user, uint32_t flags';
  const range = 'uintptr_t q, uint64_t start, uint64_t length, uintptr_t user, uint32_t flags';
  return {
    create: library.func('int blkio_create(const char *driver, void *out)'),
    setString: library.func('int blkio_set_str(uintptr_t b, const char *name, const char *value)'),
    setNumber: library.func('int blkio_set_int(uintptr_t b, const char *name, int value)'),
    getU64: library.func('int blkio_get_uint64(uintptr_t b, const char *name, void *out)'),
    connect: library.func('int blkio_connect(uintptr_t b)'),
    start: library.func('int blkio_start(uintptr_t b)'),
    allocate: library.func('int blkio_alloc_mem_region(uintptr_t b, void *region, size_t length)'),
    map: library.func('int blkio_map_mem_region(uintptr_t b, void *region)'),
    queue: library.func('uintptr_t blkio_get_queue(uintptr_t b, int index)'),
    read: library.func(`void blkioq_read(${transfer})`),
    write: library.func(`void blkioq_write(${transfer})`),
    writeZeros: library.func(`void blkioq_write_zeroes(${range})`),
    discard: library.func(`void blkioq_discard(${range})`),
    flush: library.func('void blkioq_flush(uintptr_t q, uintptr_t user, uint32_t flags)'),
    doIo: library.func('int blkioq_do_io(uintptr_t q, void *done, int least, int most, void *time)'),
    message: library.func('const char *blkio_get_error_msg()'),
    destroy: library.func('void blkio_destroy(void *b)'),
  };
}

/** A device opened by libblkio. Calls block the thread until they complete. */
export class Blkio {
  readonly #library = load();
  readonly #handle = new BigUint64Array(1);
  readonly #memory: number;
  /** Memory that requests read from and write to. */
  readonly buffer: Uint8Array;

  /** @param node `/dev/vhost-vdpa-0` */
  constructor(node: string, queues: number, bufferBytes: number) {
    const { create, setString, setNumber, connect, start, allocate, map } = this.#library;
    this.#check('create', create('virtio-blk-vhost-vdpa', this.#handle));
    this.#check('path', setString(this.#address, 'path', node));
    this.#check('connect', connect(this.#address));
    this.#check('num-queues', setNumber(this.#address, 'num-queues', queues));
    this.#check('start', start(this.#address));
    const region = new Uint8Array(REGION_BYTES);
    this.#check('allocate', allocate(this.#address, region, bufferBytes));
    this.#check('map', map(this.#address, region));
    this.#memory = Number(new DataView(region.buffer).getBigUint64(0, true));
    this.buffer = new Uint8Array(viewMemory(this.#memory, bufferBytes));
  }

  get #address(): number {
    return Number(this.#handle[0]);
  }

  #check(what: string, result: number): void {
    if (result !== 0) assert.fail(`libblkio: ${what}: ${result}: ${this.#library.message()}`);
  }

  /** The size of the disk in bytes. */
  get capacity(): bigint {
    const out = new BigUint64Array(1);
    this.#check('capacity', this.#library.getU64(this.#address, 'capacity', out));
    return out[0] ?? 0n;
  }

  #queue(index: number): number {
    return this.#library.queue(this.#address, index);
  }

  /** Reads from an offset of the disk into the same offset of the buffer; the data is there once the read is {@link done}. */
  read(queue: number, start: number, length: number): void {
    this.#library.read(this.#queue(queue), start, this.#memory + start, length, 0, 0);
  }

  write(queue: number, start: number, length: number): void {
    this.#library.write(this.#queue(queue), start, this.#memory + start, length, 0, 0);
  }

  writeZeros(queue: number, start: number, length: number): void {
    this.#library.writeZeros(this.#queue(queue), start, length, 0, 0);
  }

  discard(queue: number, start: number, length: number): void {
    this.#library.discard(this.#queue(queue), start, length, 0, 0);
  }

  flush(queue: number): void {
    this.#library.flush(this.#queue(queue), 0, 0);
  }

  /**
   * Waits for this many requests of a queue, and takes as many as there are.
   * @returns the result of each: 0, or a negative error number
   */
  done(queue: number, least: number, most = least): number[] {
    const completions = new Uint8Array(most * COMPLETION_BYTES);
    const time = BigInt64Array.of(LIMIT_S, 0n);
    const count = this.#library.doIo(this.#queue(queue), completions, least, most, time);
    assert.ok(count >= least, `libblkio: ${count}: ${this.#library.message()}`);
    const view = new DataView(completions.buffer);
    return Array.from({ length: count }, (_, index) => view.getInt32(index * COMPLETION_BYTES + RESULT, true));
  }

  close(): void {
    this.#library.destroy(this.#handle);
  }
}
