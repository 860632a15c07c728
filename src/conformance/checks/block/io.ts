import * as blk from '../../../virtio/block.js';
import { blockConfigOffset } from '../../../virtio/config-space.js';
import type { Check } from '../../check.js';
import { CheckFailure, expectBytes, expectEqual, expectThat } from '../../finding.js';
import { UNTOUCHED } from '../../work.js';
import { BlockRequests, pattern } from './requests.js';

const WRITE = ['FLUSH'];
const { VIRTIO_BLK_T_IN: IN, VIRTIO_BLK_T_OUT: OUT, VIRTIO_BLK_S_IOERR: IOERR } = blk;
const block = { type: 'block' } as const;
const writable = { type: 'block', without: ['RO'] } as const;

/** Reads, writes, and the other requests that every disk has. */
export const blockIoChecks: readonly Check[] = [
  {
    name: 'block-read-ends',
    clause: '5.2.6',
    rule: 'The first and the last block of a disk can be read.',
    requires: block,
    run: (context) => {
      context.start();
      const disk = new BlockRequests(context);
      const sectors = BigInt(disk.block / blk.SECTOR_SIZE);
      disk.read('read the first block', { sector: 0n, bytes: disk.block });
      disk.read('read the last block', { sector: disk.capacity - sectors, bytes: disk.block });
    },
  },
  {
    name: 'block-read-past-end',
    clause: '5.2.6',
    rule: 'A read that goes past the end of the disk fails.',
    requires: block,
    run: (context) => {
      context.start();
      const disk = new BlockRequests(context);
      const { block: room, capacity } = disk;
      const last = capacity - BigInt(room / blk.SECTOR_SIZE);
      disk.expect('read a block at the end of the disk', { type: IN, sector: capacity, room }, IOERR);
      disk.expect('read two blocks, the last one and one more', { type: IN, sector: last, room: room * 2 }, IOERR);
      disk.expect('read a block at sector 2^64 - 8', { type: IN, sector: 2n ** 64n - 8n, room }, IOERR);
      disk.expect('read a block at sector 2^55', { type: IN, sector: 2n ** 55n, room }, IOERR);
    },
  },
  {
    name: 'block-error-used-length',
    clause: '2.7.8.2',
    rule: 'The used length of a request that fails counts no bytes that were not written.',
    requires: block,
    run: (context) => {
      context.start();
      const disk = new BlockRequests(context);
      const sent = 'read a block at the end of the disk';
      const { written, data } = disk.request(sent, { type: IN, sector: disk.capacity, room: disk.block });
      const untouched = data.findIndex((byte) => byte === UNTOUCHED);
      const real = untouched < 0 ? data.length + 1 : untouched;
      const expected = `at most ${real}, as the data is not written from there on`;
      expectThat(written <= real, { sent: `${sent}: the used length`, came: `${written}`, expected });
    },
  },
  {
    name: 'block-write-read',
    clause: '5.2.6',
    rule: 'What was written is read, in one piece and in many.',
    requires: writable,
    covers: ['FLUSH'],
    run: (context) => {
      context.start({ features: WRITE });
      const disk = new BlockRequests(context);
      disk.preserving((region) => {
        for (const segment of [region.bytes, 4096, 512]) {
          if (region.bytes / segment > context.driver.ring().size - 2) continue;
          const data = pattern(region.bytes, segment >> 9);
          const { sector } = region;
          const sent = `write ${region.bytes} bytes in buffers of ${segment}`;
          disk.expect(sent, { type: OUT, sector, out: data, segment });
          expectBytes(`${sent}, then read`, disk.read('read what was written', region), data);
          const other = Math.min(4096, region.bytes);
          const answer = disk.expect('read it in pieces', { type: IN, sector, room: region.bytes, segment: other });
          expectBytes(`${sent}, then read in buffers of ${other}`, answer.data, data);
        }
      });
    },
  },
  {
    name: 'block-write-neighbours',
    clause: '5.2.6',
    rule: 'A write changes its own sectors and no others.',
    requires: writable,
    run: (context) => {
      context.start({ features: WRITE });
      const disk = new BlockRequests(context);
      disk.preserving((region) => {
        const before = pattern(region.bytes, 1);
        disk.write('write the region', region.sector, before);
        const one = pattern(disk.block, 99);
        const at = Math.floor(region.bytes / disk.block / 2) * disk.block;
        disk.write('write one block in it', region.sector + BigInt(at / blk.SECTOR_SIZE), one);
        before.set(one, at);
        expectBytes('write one block in a region, then read the region', disk.read('read the region', region), before);
      });
    },
  },
  {
    name: 'block-write-past-end',
    clause: '5.2.6',
    rule: 'A write that goes past the end of the disk fails.',
    requires: writable,
    run: (context) => {
      context.start({ features: WRITE });
      const disk = new BlockRequests(context);
      const out = pattern(disk.block, 5);
      disk.expect('write a block at the end of the disk', { type: OUT, sector: disk.capacity, out }, IOERR);
    },
  },
  {
    name: 'block-read-only',
    clause: '5.2.6.2',
    rule: 'A write to a read-only disk fails and writes nothing.',
    requires: { type: 'block', features: ['RO'] },
    run: (context) => {
      context.start({ features: ['RO'] });
      const disk = new BlockRequests(context);
      const region = { sector: 0n, bytes: disk.block };
      const before = disk.read('read the first block', region);
      const out = before.map((byte) => byte ^ 0xff);
      disk.expect('write the first block', { type: OUT, sector: 0n, out }, IOERR);
      expectBytes('write to a read-only disk, then read', disk.read('read the first block', region), before);
    },
  },
  {
    name: 'block-flush',
    clause: '5.2.6.2',
    rule: 'A flush succeeds.',
    requires: { type: 'block', features: ['FLUSH'] },
    run: (context) => {
      context.start({ features: ['FLUSH'] });
      const disk = new BlockRequests(context);
      for (let round = 0; round < 5; round++) disk.expect('flush', { type: blk.VIRTIO_BLK_T_FLUSH });
    },
  },
  {
    name: 'block-write-cache',
    clause: '5.2.6.2',
    rule: 'A driver with CONFIG_WCE reads in writeback whether there is a write cache, and sets it.',
    requires: { type: 'block', features: ['CONFIG_WCE', 'FLUSH'], without: ['RO'] },
    run: (context) => {
      context.start({ features: ['CONFIG_WCE', 'FLUSH'] });
      const { vhost } = context;
      const disk = new BlockRequests(context);
      const writeback = (): number => vhost.config(blockConfigOffset.writeback, 1)[0] ?? 0;
      const before = writeback();
      expectThat(before <= 1, { sent: 'read writeback', came: String(before), expected: '0 or 1' });
      disk.preserving((region) => {
        try {
          for (const value of [1 - before, before, 0, 1]) {
            vhost.setConfig(blockConfigOffset.writeback, Uint8Array.of(value));
            const sent = `set writeback to ${value}`;
            expectEqual(`${sent}, then read it`, writeback(), value);
            const data = pattern(region.bytes, value);
            disk.write(`${sent}, then write`, region.sector, data);
            disk.expect(`${sent}, then write and flush`, { type: blk.VIRTIO_BLK_T_FLUSH });
            expectBytes(`${sent}, then write and read`, disk.read('read what was written', region), data);
          }
        } finally {
          vhost.setConfig(blockConfigOffset.writeback, Uint8Array.of(before));
        }
      });
    },
  },
  {
    name: 'block-get-id',
    clause: '5.2.6',
    rule: 'The serial number has 20 bytes.',
    requires: block,
    run: (context) => {
      context.start();
      const disk = new BlockRequests(context);
      const room = blk.VIRTIO_BLK_ID_BYTES;
      const { written } = disk.expect('read the serial number', { type: blk.VIRTIO_BLK_T_GET_ID, room });
      expectThat(written <= room + 1, {
        sent: 'read the serial number',
        came: `used length ${written}`,
        expected: '21',
      });
    },
  },
  {
    name: 'block-unknown-type',
    clause: '5.2.6',
    rule: 'A request of a type that the device does not know has the status UNSUPP.',
    requires: block,
    run: (context) => {
      context.start();
      const disk = new BlockRequests(context);
      disk.expect('a request of type 12345', { type: 12345 }, blk.VIRTIO_BLK_S_UNSUPP);
    },
  },
  {
    name: 'block-segments',
    clause: '5.2.6.1',
    rule: 'A request with seg_max segments of up to size_max bytes is carried out.',
    requires: block,
    covers: ['SEG_MAX', 'SIZE_MAX'],
    run: (context) => {
      const offers = context.mask(['SEG_MAX']) !== 0n;
      const queueSize = Math.min(context.target.queueSize, 256);
      context.start({ features: ['SEG_MAX', 'SIZE_MAX'], queueSize });
      const disk = new BlockRequests(context);
      const sizeMax = context.mask(['SIZE_MAX']) === 0n ? 2 ** 20 : disk.u32(blockConfigOffset.sizeMax);
      const segments = Math.min(offers ? disk.u32(blockConfigOffset.segMax) : 1, queueSize - 2, 128);
      if (segments === 0) {
        throw new CheckFailure({ sent: 'read seg_max', came: '0', expected: 'at least 1' });
      }
      const segment = Math.min(512, sizeMax);
      const room = Math.min(segments * segment, Number(disk.capacity) * blk.SECTOR_SIZE);
      const whole = Math.floor(room / disk.block) * disk.block;
      const inPieces = disk.expect(`read ${whole} bytes in segments of ${segment}`, { type: IN, room: whole, segment });
      const size = Math.min(sizeMax, 4096);
      const again = disk.expect('read the same in larger segments', { type: IN, room: whole, segment: size });
      expectBytes(`read ${whole} bytes in segments of ${segment} and of ${size}`, inPieces.data, again.data);
    },
  },
  {
    name: 'block-queues',
    clause: '5.2.2',
    rule: 'Every queue carries out requests.',
    requires: { type: 'block', features: ['MQ'] },
    run: (context) => {
      context.start({ features: ['MQ'] });
      const disk = new BlockRequests(context);
      for (let queue = 0; queue < context.driver.queues; queue++) {
        disk.expect(`read a block on queue ${queue}`, { type: IN, room: disk.block, queue });
      }
    },
  },
];
