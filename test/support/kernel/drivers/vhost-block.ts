import '../lab/inside.js';
import assert from 'node:assert/strict';
import * as blk from '../../../../src/virtio/block.js';
import type { Buffer } from '../../../../src/virtio/driver/ring-driver.js';
import { DATA, VhostDriver } from '../../../../src/vhost/driver.js';

/** Where valid requests have their header, status byte and data. */
const HEADER = DATA + 0x1f0000;
const STATUS = HEADER + 0x100;
const GOOD_DATA = DATA + 0x1c0000;
const GOOD_DATA_BYTES = 0x20000;

/** What a status byte holds before the device writes it. */
export const UNTOUCHED = 0xee;

/** A driver of a block device through vhost-vdpa. */
export class VhostBlock extends VhostDriver {
  /** Writes the header of a request. */
  header(iova: number, type: number, sector: number | bigint): Buffer {
    this.view.setUint32(this.at(iova), type, true);
    this.view.setUint32(this.at(iova) + 4, 0, true);
    this.view.setBigUint64(this.at(iova) + 8, BigInt.asUintN(64, BigInt(sector)), true);
    return { iova, length: blk.HEADER_SIZE };
  }

  /** Creates a status byte, which is {@link UNTOUCHED} until the device writes it. */
  statusByte(iova: number): Buffer {
    this.memory.u8[this.at(iova)] = UNTOUCHED;
    return { iova, length: 1, writable: true };
  }

  /** Offers a chain whose last buffer is the status byte. Returns the status and the number of bytes written. */
  exchange(buffers: readonly Buffer[], queue = 0): { status: number; written: number } {
    const last = buffers.at(-1);
    const head = this.ring(queue).chain(buffers);
    this.offer(head, queue);
    const used = this.used(queue);
    assert.ok(used, 'the request was not completed');
    assert.equal(used.head, head);
    return {
      status: this.memory.u8[this.at(Number(last?.iova)) + (last?.length ?? 1) - 1] ?? 0,
      written: used.written,
    };
  }

  /** Makes a valid request. @param data to be written, or how many bytes to read */
  request(type: number, sector: number | bigint, data: Uint8Array | number = 0, queue = 0): number {
    const length = typeof data === 'number' ? data : data.length;
    assert.ok(length <= GOOD_DATA_BYTES);
    const writable = typeof data === 'number';
    if (!writable) this.memory.u8.set(data, this.at(GOOD_DATA));
    const buffers: Buffer[] = [
      this.header(HEADER, type, sector),
      ...(length > 0 ? [{ iova: GOOD_DATA, length, writable }] : []),
      this.statusByte(STATUS),
    ];
    return this.exchange(buffers, queue).status;
  }

  /** The data that the last {@link request} read. */
  data(length: number): Uint8Array {
    return this.memory.u8.slice(this.at(GOOD_DATA), this.at(GOOD_DATA) + length);
  }

  /** Checks that the device works: writes, flushes, reads back. */
  checkService(seed: number, queue = 0): void {
    const bytes = Uint8Array.from({ length: 4096 }, (_, index) => (index * 7 + seed) & 0xff);
    assert.equal(this.request(blk.VIRTIO_BLK_T_OUT, 8, bytes, queue), blk.VIRTIO_BLK_S_OK);
    assert.equal(this.request(blk.VIRTIO_BLK_T_FLUSH, 0, 0, queue), blk.VIRTIO_BLK_S_OK);
    this.memory.u8.fill(0, this.at(GOOD_DATA), this.at(GOOD_DATA) + 4096);
    assert.equal(this.request(blk.VIRTIO_BLK_T_IN, 8, 4096, queue), blk.VIRTIO_BLK_S_OK);
    assert.deepEqual(this.data(4096), bytes);
  }
}
