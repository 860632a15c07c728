import '../lab/inside.js';
import * as blk from '../../../../src/virtio/block.js';
import type { Random } from '../../random.js';
import type { Buffer } from '../../../../src/virtio/driver/ring-driver.js';
import type { FuzzRequests } from './fuzz-driver.js';
import type { VhostBlock } from './vhost-block.js';
import { DATA } from '../../../../src/vhost/driver.js';

const RANGES = DATA + 0x8000;
const TYPES = [
  blk.VIRTIO_BLK_T_IN,
  blk.VIRTIO_BLK_T_OUT,
  blk.VIRTIO_BLK_T_OUT,
  blk.VIRTIO_BLK_T_FLUSH,
  blk.VIRTIO_BLK_T_GET_ID,
  blk.VIRTIO_BLK_T_DISCARD,
  blk.VIRTIO_BLK_T_WRITE_ZEROES,
] as const;

/** Requests of a block device: a header, buffers, a status byte; or something like it. */
export class FuzzBlock implements FuzzRequests {
  readonly #driver: VhostBlock;
  readonly #random: Random;
  readonly #sectors: number;

  constructor(driver: VhostBlock, random: Random, sectors: number) {
    this.#driver = driver;
    this.#random = random;
    this.#sectors = sectors;
  }

  buffers(_queue: number, somewhere: () => number | bigint): readonly Buffer[] {
    const random = this.#random;
    const type = random.chance(90) ? random.pick(TYPES) : random.below(2 ** 32);
    const sector = random.chance(90) ? random.below(this.#sectors + 8) : (BigInt(random.below(2 ** 32)) << 32n) | 7n;
    const header = this.#driver.header(DATA + random.below(1024) * 16, type, sector);
    const hasRanges = type === blk.VIRTIO_BLK_T_DISCARD || type === blk.VIRTIO_BLK_T_WRITE_ZEROES;
    if (hasRanges) this.#ranges();
    const writable = random.chance(50);
    const data = Array.from({ length: random.below(random.chance(95) ? 4 : 20) }, () => {
      const iova = random.chance(75) ? DATA + 0x10000 + random.below(0x100000) : somewhere();
      const length = random.chance(80) ? 512 * (1 + random.below(64)) : random.below(2 ** 32);
      return { iova: hasRanges ? RANGES : iova, length, writable };
    });
    const status = random.chance(97) ? DATA + 0x4000 + random.below(0x1000) : somewhere();
    return [
      {
        iova: random.chance(97) ? header.iova : somewhere(),
        length: random.chance(97) ? blk.HEADER_SIZE : random.below(64),
        writable: false,
      },
      ...data,
      { iova: status, length: random.chance(95) ? 1 : random.below(4), writable: true },
    ];
  }

  #ranges(): void {
    const random = this.#random;
    const { view } = this.#driver;
    for (let range = 0; range < 32; range++) {
      const at = this.#driver.at(RANGES) + range * blk.RANGE_SIZE;
      view.setBigUint64(at, BigInt(random.below(this.#sectors + 8)), true);
      view.setUint32(at + 8, random.chance(90) ? random.below(4096) : random.below(2 ** 32), true);
      view.setUint32(at + 12, random.chance(90) ? random.below(2) : random.below(2 ** 32), true);
    }
  }
}
