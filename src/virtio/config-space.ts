/**
 * Offsets of the fields of virtio configuration spaces, and the lengths of the structures, in bytes. Mirrors `struct
 * virtio_net_config` of include/uapi/linux/virtio_net.h and `struct virtio_blk_config` of virtio_blk.h. Numbers are
 * little-endian for every device that offers VERSION_1.
 */

export const netConfigLength = 24;

/** virtio specification, section "Network Device", "Device configuration layout". */
export const netConfigOffset = {
  /** six bytes */
  mac: 0,
  /** u16 */
  status: 6,
  /** u16 */
  maxVirtqueuePairs: 8,
  /** u16 */
  mtu: 10,
  /** u32, Mbit/s */
  speed: 12,
  /** u8 */
  duplex: 16,
  /** u8 */
  rssMaxKeySize: 17,
  /** u16 */
  rssMaxIndirectionTableLength: 18,
  /** u32 */
  supportedHashTypes: 20,
} as const;

export const blockConfigLength = 96;

/** virtio specification, section "Block Device", "Device configuration layout". */
export const blockConfigOffset = {
  /** u64, 512-byte sectors */
  capacity: 0,
  /** u32, bytes */
  sizeMax: 8,
  /** u32 */
  segMax: 12,
  /** u16 cylinders, u8 heads, u8 sectors */
  geometry: 16,
  /** u32, bytes */
  blkSize: 20,
  /** u8 */
  physicalBlockExp: 24,
  /** u8, logical blocks */
  alignmentOffset: 25,
  /** u16, logical blocks */
  minIoSize: 26,
  /** u32, logical blocks */
  optIoSize: 28,
  /** u8 */
  writeback: 32,
  /** u16 */
  numQueues: 34,
  /** u32, 512-byte sectors */
  maxDiscardSectors: 36,
  /** u32 */
  maxDiscardSeg: 40,
  /** u32, 512-byte sectors */
  discardSectorAlignment: 44,
  /** u32, 512-byte sectors */
  maxWriteZeroesSectors: 48,
  /** u32 */
  maxWriteZeroesSeg: 52,
  /** u8 */
  writeZeroesMayUnmap: 56,
  /** u32, 512-byte sectors */
  maxSecureEraseSectors: 60,
  /** u32 */
  maxSecureEraseSeg: 64,
  /** u32, 512-byte sectors */
  secureEraseSectorAlignment: 68,
  /** struct virtio_blk_zoned_characteristics */
  zoned: 72,
} as const;
