import * as blk from '../virtio/block.js';
import { blockConfigLength, blockConfigOffset } from '../virtio/config-space.js';
import { VIRTIO_ID_BLOCK } from '../virtio/ids.js';
import type { BlockModuleOptions } from './block-module.js';
import type { BlockLimits } from './block-plane.js';
import { Storage, type StorageOptions } from './block-storage.js';
import type { DeviceIdentity } from './control.js';
import { DeviceOptionError } from './device-option-error.js';
import { moduleUrl } from './module-url.js';
import { checkQueueSize, RING_FEATURES } from './negotiation.js';
import { VduseServer } from './server.js';

/** A block device of VDUSE. */
export interface BlockDeviceOptions {
  readonly name: string;
  readonly storage: StorageOptions;
  /** Bytes of a logical block; 512 by default. */
  readonly blockSize?: 512 | 4096;
  readonly readonly?: boolean;
  /** At most 20 bytes; the name by default. */
  readonly serial?: string;
  /** How many queues there are; 1 by default. */
  readonly queues?: number;
  /** How many descriptors each has at most: a power of two from 4 to 1024, 256 by default. */
  readonly queueSize?: number;
  /** How many threads serve the queues; 1 by default. */
  readonly threads?: number;
  /** Serve the instance that is there already, its server having ended. */
  readonly takeOver?: boolean;
}

/** What drivers are told to be the physical block size: the page cache works in pages. */
const PHYSICAL_BLOCK = 4096;
const OPTIMAL_IO = 1024 * 1024;
/** The longest single buffer. */
const MAX_SEGMENT = 4 * 1024 * 1024;
const MAX_RANGES = 32;
/** The longest range to discard or to write zeros to. */
const MAX_RANGE = 1024 * 1024 * 1024;

/** How often a file is looked at for having grown. */
const MEASURE_MS = 1000;

/**
 * Serves a block device until its server is stopped. The device can be attached to the vdpa bus when this returns.
 * @throws DeviceNameError, DeviceOptionError, SystemError
 */
export async function serveBlockDevice(options: BlockDeviceOptions): Promise<VduseServer> {
  const { queues = 1, queueSize = 256, blockSize = 512 } = options;
  if (!Number.isInteger(queues) || queues < 1 || queues > 256) {
    throw new DeviceOptionError(`A block device has 1 to 256 queues, not ${queues}`);
  }
  checkQueueSize(queueSize);
  const serial = checkSerial(options.serial ?? options.name.slice(0, blk.VIRTIO_BLK_ID_BYTES));
  const storage = Storage.open(options.storage, blockSize, options.readonly === true);
  try {
    const limits = blockLimits(storage, serial);
    const moduleOptions: BlockModuleOptions = { limits, backend: storage.backend };
    const server = await VduseServer.start({
      name: options.name,
      identity: blockIdentity({ limits, blockSize, queues, queueSize }),
      dataPlane: { module: moduleUrl('block'), options: moduleOptions },
      ...(options.threads !== undefined && { threads: options.threads }),
      ...(options.takeOver !== undefined && { takeOver: options.takeOver }),
    });
    const timer = storage.changes ? followFile(server, storage, blockSize) : undefined;
    server.on('state', (state) => {
      if (state !== 'stopped') return;
      clearInterval(timer);
      storage.close();
    });
    return server;
  } catch (error) {
    storage.close();
    throw error;
  }
}

function checkSerial(serial: string): string {
  if (Buffer.byteLength(serial) > blk.VIRTIO_BLK_ID_BYTES) {
    throw new DeviceOptionError(`The serial number "${serial}" has more than ${blk.VIRTIO_BLK_ID_BYTES} bytes`);
  }
  return serial;
}

function blockLimits(storage: Storage, serial: string): BlockLimits {
  return {
    size: storage.size,
    readonly: storage.readonly,
    serial,
    maxDiscardSectors: MAX_RANGE / blk.SECTOR_SIZE,
    maxDiscardRanges: MAX_RANGES,
    maxWriteZeroesSectors: MAX_RANGE / blk.SECTOR_SIZE,
    maxWriteZeroesRanges: MAX_RANGES,
  };
}

/** What a driver sees of a block device before it uses it. */
export function blockIdentity(device: {
  readonly limits: BlockLimits;
  readonly blockSize: number;
  readonly queues: number;
  readonly queueSize: number;
}): DeviceIdentity {
  const { limits, blockSize, queues, queueSize } = device;
  const bits = [
    blk.VIRTIO_BLK_F_SIZE_MAX,
    blk.VIRTIO_BLK_F_SEG_MAX,
    blk.VIRTIO_BLK_F_BLK_SIZE,
    blk.VIRTIO_BLK_F_FLUSH,
    blk.VIRTIO_BLK_F_TOPOLOGY,
    ...(queues > 1 ? [blk.VIRTIO_BLK_F_MQ] : []),
    ...(limits.readonly ? [blk.VIRTIO_BLK_F_RO] : [blk.VIRTIO_BLK_F_DISCARD, blk.VIRTIO_BLK_F_WRITE_ZEROES]),
  ];
  const config = new Uint8Array(blockConfigLength);
  const view = new DataView(config.buffer);
  config.set(capacityField(limits.size), blockConfigOffset.capacity);
  view.setUint32(blockConfigOffset.sizeMax, MAX_SEGMENT, true);
  // A request has a header and a status byte besides its data.
  view.setUint32(blockConfigOffset.segMax, queueSize - 2, true);
  view.setUint32(blockConfigOffset.blkSize, blockSize, true);
  view.setUint8(blockConfigOffset.physicalBlockExp, Math.log2(PHYSICAL_BLOCK / blockSize));
  view.setUint16(blockConfigOffset.minIoSize, PHYSICAL_BLOCK / blockSize, true);
  view.setUint32(blockConfigOffset.optIoSize, OPTIMAL_IO / blockSize, true);
  view.setUint16(blockConfigOffset.numQueues, queues, true);
  if (!limits.readonly) {
    view.setUint32(blockConfigOffset.maxDiscardSectors, limits.maxDiscardSectors, true);
    view.setUint32(blockConfigOffset.maxDiscardSeg, limits.maxDiscardRanges, true);
    view.setUint32(blockConfigOffset.discardSectorAlignment, blockSize / blk.SECTOR_SIZE, true);
    view.setUint32(blockConfigOffset.maxWriteZeroesSectors, limits.maxWriteZeroesSectors, true);
    view.setUint32(blockConfigOffset.maxWriteZeroesSeg, limits.maxWriteZeroesRanges, true);
    view.setUint8(blockConfigOffset.writeZeroesMayUnmap, 1);
  }
  return {
    deviceId: VIRTIO_ID_BLOCK,
    vendorId: 0,
    features: bits.reduce((features, bit) => features | (1n << bit), RING_FEATURES),
    config,
    queueCount: queues,
    queueSize,
  };
}

function capacityField(size: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(size / blk.SECTOR_SIZE), true);
  return bytes;
}

/** Tells the driver when the file has grown, and the data threads when there is less of it. */
function followFile(server: VduseServer, storage: Storage, blockSize: number): NodeJS.Timeout {
  let known = { size: storage.size, left: storage.measure(blockSize).left };
  return setInterval(() => {
    const now = storage.measure(blockSize);
    if (now.size === known.size && now.left === known.left) return;
    server.change(now);
    if (now.size > known.size) server.changeConfig(blockConfigOffset.capacity, capacityField(now.size));
    known = { size: Math.max(now.size, known.size), left: now.left };
  }, MEASURE_MS).unref();
}
