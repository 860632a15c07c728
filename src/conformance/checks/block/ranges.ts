import * as blk from '../../../virtio/block.js';
import { blockConfigOffset as offset } from '../../../virtio/config-space.js';
import type { Check } from '../../check.js';
import { expectBytes, expectEqual, expectThat } from '../../finding.js';
import { BlockRequests, pattern, range } from './requests.js';

const { VIRTIO_BLK_T_DISCARD: DISCARD, VIRTIO_BLK_T_WRITE_ZEROES: WRITE_ZEROES, VIRTIO_BLK_S_UNSUPP: UNSUPP } = blk;
const { VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP: UNMAP, VIRTIO_BLK_S_IOERR: IOERR } = blk;

/** Discard and writing zeros, and the configuration of a disk. */
export const blockRangeChecks: readonly Check[] = [
  {
    name: 'block-discard',
    clause: '5.2.6.2',
    rule: 'A discard succeeds, and leaves the other sectors as they are.',
    requires: { type: 'block', features: ['DISCARD'], without: ['RO'] },
    run: (context) => {
      const features = ['DISCARD', 'FLUSH'];
      context.start({ features });
      const disk = new BlockRequests(context);
      disk.preserving((region) => {
        const data = pattern(region.bytes, 3);
        disk.write('write the region', region.sector, data);
        const quarter = Math.floor(region.bytes / 4 / 4096) * 4096;
        const sectors = quarter / blk.SECTOR_SIZE;
        const out = range(region.sector + BigInt(sectors), sectors);
        disk.expect(`discard ${sectors} sectors`, { type: DISCARD, out });
        const after = disk.read('read the region', region);
        expectBytes(
          'discard a quarter of a region, then read before it',
          after.subarray(0, quarter),
          data.subarray(0, quarter),
        );
        const rest = quarter * 2;
        expectBytes(
          'discard a quarter of a region, then read what follows it',
          after.subarray(rest),
          data.subarray(rest),
        );
      });
    },
  },
  {
    name: 'block-discard-flags',
    clause: '5.2.6.2',
    rule: 'A discard with the unmap flag, or an unknown one, has the status UNSUPP.',
    requires: { type: 'block', features: ['DISCARD'], without: ['RO'] },
    run: (context) => {
      context.start({ features: ['DISCARD'] });
      const disk = new BlockRequests(context);
      for (const flags of [UNMAP, 2, 0x8000_0000]) {
        const out = range(disk.region.sector, 0, flags);
        disk.expect(`discard with flags ${flags}`, { type: DISCARD, out }, UNSUPP);
      }
    },
  },
  {
    name: 'block-write-zeroes',
    clause: '5.2.6.2',
    rule: 'After writing zeros, reads of these sectors return zeros, with and without unmap; others are unchanged.',
    requires: { type: 'block', features: ['WRITE_ZEROES'], without: ['RO'] },
    run: (context) => {
      const features = ['WRITE_ZEROES', 'FLUSH'];
      context.start({ features });
      const disk = new BlockRequests(context);
      disk.preserving((region) => {
        for (const flags of [0, UNMAP]) {
          const data = pattern(region.bytes, 11 + flags);
          disk.write('write the region', region.sector, data);
          const quarter = Math.floor(region.bytes / 4 / 4096) * 4096;
          const sectors = quarter / blk.SECTOR_SIZE;
          const out = range(region.sector + BigInt(sectors), sectors, flags);
          disk.expect(`write ${sectors} sectors of zeros with flags ${flags}`, { type: WRITE_ZEROES, out });
          data.fill(0, quarter, quarter * 2);
          expectBytes(`write zeros with flags ${flags}, then read`, disk.read('read the region', region), data);
        }
      });
    },
  },
  {
    name: 'block-write-zeroes-flags',
    clause: '5.2.6.2',
    rule: 'Writing zeros with an unknown flag has the status UNSUPP.',
    requires: { type: 'block', features: ['WRITE_ZEROES'], without: ['RO'] },
    run: (context) => {
      context.start({ features: ['WRITE_ZEROES'] });
      const disk = new BlockRequests(context);
      for (const flags of [2, 0x8000_0000]) {
        const out = range(disk.region.sector, 0, flags);
        disk.expect(`write zeros with flags ${flags}`, { type: WRITE_ZEROES, out }, UNSUPP);
      }
    },
  },
  {
    name: 'block-ranges-past-end',
    clause: '5.2.6.1',
    rule: 'Writing zeros past the end of the disk fails.',
    requires: { type: 'block', features: ['WRITE_ZEROES'], without: ['RO'] },
    run: (context) => {
      context.start({ features: ['WRITE_ZEROES'] });
      const disk = new BlockRequests(context);
      const out = range(disk.capacity, 8);
      disk.expect('write zeros at the end of the disk', { type: WRITE_ZEROES, out }, IOERR);
    },
  },
  {
    name: 'block-config',
    clause: '5.2.4',
    rule: 'The fields of the configuration have values that a driver can use.',
    requires: { type: 'block' },
    covers: ['BLK_SIZE', 'TOPOLOGY'],
    run: (context) => {
      const disk = new BlockRequests(context);
      const sent = 'read the configuration';
      expectThat(disk.capacity > 0n, { sent, came: 'capacity 0', expected: 'at least one sector' });
      const { block } = disk;
      const isPower = block >= 512 && (block & (block - 1)) === 0;
      expectThat(isPower, { sent, came: `blk_size ${block}`, expected: 'a power of two of at least 512' });
      const whole = (disk.capacity * 512n) % BigInt(block) === 0n;
      expectThat(whole, { sent, came: `capacity ${disk.capacity}`, expected: `whole blocks of ${block} bytes` });
      const has = (name: string): boolean => context.mask([name]) !== 0n;
      for (const [name, field, at] of limits) {
        if (!has(name)) continue;
        const value = disk.u32(at);
        expectThat(value > 0, { sent, came: `${field} ${value} with ${name}`, expected: 'at least 1' });
      }
    },
  },
  {
    name: 'block-config-padding',
    clause: '5.2.5.2',
    rule: 'The padding of the configuration is 0.',
    requires: { type: 'block' },
    run: ({ target: { config } }) => {
      expectEqual('read unused0 of the configuration', config[offset.writeback + 1] ?? 0, 0);
      for (let at = offset.writeZeroesMayUnmap + 1; at < offset.maxSecureEraseSectors; at++) {
        expectEqual(`read unused1 of the configuration, at ${at}`, config[at] ?? 0, 0);
      }
    },
  },
];

/** Limits of the configuration that are valid with a feature, and must not be 0. */
const limits = [
  ['SEG_MAX', 'seg_max', offset.segMax],
  ['SIZE_MAX', 'size_max', offset.sizeMax],
  ['DISCARD', 'max_discard_sectors', offset.maxDiscardSectors],
  ['DISCARD', 'max_discard_seg', offset.maxDiscardSeg],
  ['WRITE_ZEROES', 'max_write_zeroes_sectors', offset.maxWriteZeroesSectors],
  ['WRITE_ZEROES', 'max_write_zeroes_seg', offset.maxWriteZeroesSeg],
] as const;
