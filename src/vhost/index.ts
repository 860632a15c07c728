/// <reference types="node" preserve="true" />
/**
 * /dev/vhost-vdpa-N: drives devices of the vdpa bus from TypeScript, as QEMU does for a guest.
 *
 * @example
 * const driver = new VhostDriver('/dev/vhost-vdpa-0');
 * driver.start();
 * driver.offer(driver.ring().chain([{ iova: DATA, length: 16 }, { iova: DATA + 16, length: 513, writable: true }]));
 * console.log(driver.used());
 * driver.close();
 */
export { VhostVdpa, type IovaLimits, type VhostVdpaOptions } from './device.js';
export {
  ACKNOWLEDGED,
  BASE,
  DATA,
  DRIVER_OK,
  FEATURES_OK,
  MAX_DRIVER_QUEUE,
  MEMORY_BYTES,
  VhostDriver,
  type DriverOptions,
  type StartOptions,
} from './driver.js';
export { DriverError } from './error.js';
export { encodeIotlbMessage, type IotlbMessage } from './iotlb.js';
export { DriverMemory, type DriverMemoryOptions } from './memory.js';
export {
  VHOST_ACCESS_RO,
  VHOST_ACCESS_RW,
  VHOST_ACCESS_WO,
  VHOST_BACKEND_F_DESC_ASID,
  VHOST_BACKEND_F_ENABLE_AFTER_DRIVER_OK,
  VHOST_BACKEND_F_IOTLB_ASID,
  VHOST_BACKEND_F_IOTLB_BATCH,
  VHOST_BACKEND_F_IOTLB_MSG_V2,
  VHOST_BACKEND_F_IOTLB_PERSIST,
  VHOST_BACKEND_F_RESUME,
  VHOST_BACKEND_F_SUSPEND,
  VHOST_FILE_UNBIND,
} from './uapi.js';
export { createDriver, type RingPlace } from '../virtio/driver/create-driver.js';
export { PackedDriver, type PackedDescriptor } from '../virtio/driver/packed-driver.js';
export {
  UsedRingError,
  type Buffer as DriverBuffer,
  type RingDriver,
  type UsedChain,
  type UsedSlot,
} from '../virtio/driver/ring-driver.js';
export { SplitDriver } from '../virtio/driver/split-driver.js';
