/** Requests of a block device, one at a time: any type, with any data. */
import { blockConfigOffset } from '../../../virtio/config-space.js';
import * as blk from '../../../virtio/block.js';
import type { Buffer as DriverBuffer } from '../../../virtio/driver/ring-driver.js';
import { CheckFailure, expectEqual } from '../../finding.js';
import { REPLY_MS, type CheckContext } from '../../context.js';
import { SPARE, UNTOUCHED } from '../../work.js';

const HEADER = SPARE;
const STATUS = SPARE + 0x800;
/** The IOVA of data, and how much there is. */
const DATA = SPARE + 0x1000;
const DATA_BYTES = 0x80000;

/** The longest region of a disk that checks write, in bytes. */
const REGION_BYTES = 64 * 1024;

/** What a device has answered. */
export interface BlockAnswer {
  readonly status: number;
  /** The used length. */
  readonly written: number;
  /** The data of the device-writable buffers. */
  readonly data: Uint8Array;
}

/** A request. */
export interface BlockRequest {
  readonly type: number;
  readonly sector?: bigint;
  /** What the driver sends. */
  readonly out?: Uint8Array;
  /** How many bytes the device may write, besides the status. */
  readonly room?: number;
  /** Length of each buffer of the data; all of it by default. */
  readonly segment?: number;
  readonly queue?: number;
}

/** A region of a disk: its first sector and its length in bytes. */
export interface Region {
  readonly sector: bigint;
  readonly bytes: number;
}

/** Requests to a started device. */
export class BlockRequests {
  readonly #context: CheckContext;

  constructor(context: CheckContext) {
    this.#context = context;
  }

  get #config(): DataView {
    const { config } = this.#context.target;
    return new DataView(config.buffer, config.byteOffset, config.byteLength);
  }

  /** In sectors. */
  get capacity(): bigint {
    return this.#config.getBigUint64(blockConfigOffset.capacity, true);
  }

  /** A u32 of the configuration. */
  u32(offset: number): number {
    return this.#config.getUint32(offset, true);
  }

  /** The logical block, in bytes. */
  get block(): number {
    return this.#context.mask(['BLK_SIZE']) === 0n ? blk.SECTOR_SIZE : this.u32(blockConfigOffset.blkSize);
  }

  /** The part of the disk that checks write and put back: its end, in whole blocks of 4 KiB if it has so many. */
  get region(): Region {
    const capacity = Number(this.capacity);
    const unit = Math.max(this.block, 4096) / blk.SECTOR_SIZE;
    const sectors = Math.min(REGION_BYTES / blk.SECTOR_SIZE, Math.floor(capacity / unit) * unit);
    const start = Math.floor((capacity - sectors) / unit) * unit;
    return { sector: BigInt(start), bytes: sectors * blk.SECTOR_SIZE };
  }

  /** Makes a request and waits for it. @throws CheckFailure if it is not completed */
  request(sent: string, { type, sector = 0n, out, room = 0, segment, queue = 0 }: BlockRequest): BlockAnswer {
    const { driver } = this.#context;
    const { view, memory } = driver;
    const bytes = out?.length ?? room;
    if (bytes > DATA_BYTES) throw new RangeError(`a request of ${bytes} bytes is too long`);
    const [header, data, status] = [driver.at(HEADER), driver.at(DATA), driver.at(STATUS)];
    view.setUint32(header, type, true);
    view.setUint32(header + 4, 0, true);
    view.setBigUint64(header + 8, sector, true);
    memory.u8[status] = UNTOUCHED;
    if (out) memory.u8.set(out, data);
    else memory.u8.fill(UNTOUCHED, data, data + room);
    const buffers: DriverBuffer[] = [{ iova: HEADER, length: blk.HEADER_SIZE }];
    for (let at = 0; at < bytes; at += segment ?? bytes) {
      const length = Math.min(segment ?? bytes, bytes - at);
      buffers.push({ iova: DATA + at, length, writable: out === undefined });
    }
    buffers.push({ iova: STATUS, length: 1, writable: true });
    const head = driver.ring(queue).chain(buffers);
    driver.offer(head, queue);
    const used = driver.used(queue, REPLY_MS);
    if (used?.head !== head) {
      const came = used ? `head ${used.head} was used` : `nothing within ${REPLY_MS / 1000} s`;
      throw new CheckFailure({ sent, came, expected: `head ${head}` });
    }
    return {
      status: memory.u8[status] ?? UNTOUCHED,
      written: used.written,
      data: memory.u8.slice(data, data + (out ? 0 : room)),
    };
  }

  /** The same, with a status that it must have. */
  expect(sent: string, request: BlockRequest, status: number = blk.VIRTIO_BLK_S_OK): BlockAnswer {
    const answer = this.request(sent, request);
    expectEqual(`${sent}: the status`, answer.status, status);
    return answer;
  }

  read(sent: string, { sector, bytes }: Region): Uint8Array {
    return this.expect(sent, { type: blk.VIRTIO_BLK_T_IN, sector, room: bytes }).data;
  }

  write(sent: string, sector: bigint, out: Uint8Array): void {
    this.expect(sent, { type: blk.VIRTIO_BLK_T_OUT, sector, out });
  }

  /** Runs a task that writes the {@link region}, whose data is put back afterwards: a device under test keeps its data. */
  preserving(task: (region: Region) => void): void {
    const { region } = this;
    const before = this.read('read the sectors that the check will write', region);
    try {
      task(region);
    } finally {
      this.#context.start({ features: ['FLUSH'] });
      this.write('put back what the sectors had before the check', region.sector, before);
      if (this.#context.mask(['FLUSH']) !== 0n) {
        this.expect('flush what was put back', { type: blk.VIRTIO_BLK_T_FLUSH });
      }
    }
  }
}

/** A range of a discard or of writing zeros. */
export function range(sector: bigint, sectors: number, flags = 0): Uint8Array {
  const bytes = new Uint8Array(blk.RANGE_SIZE);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, sector, true);
  view.setUint32(8, sectors, true);
  view.setUint32(12, flags, true);
  return bytes;
}

/** Bytes that tell their place. */
export function pattern(bytes: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, index) => (index * 7 + (index >> 8) + seed) & 0xff);
}
