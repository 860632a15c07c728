/** The library: vDPA devices over generic netlink. */
export { VdpaClient, type VdpaClientOptions } from './vdpa/client.js';
export type { DeviceChange, DeviceSpec, VdpaRequest } from './vdpa/encode.js';
export {
  formatHandle,
  type BlockConfig,
  type DeviceConfig,
  type ManagementDevice,
  type ManagementDeviceHandle,
  type NetConfig,
  type OtherConfig,
  type VdpaDevice,
  type VendorCounter,
  type VendorStats,
} from './vdpa/model.js';
export {
  GenlFamilyNotFoundError,
  NetlinkError,
  NetlinkProtocolError,
  NetlinkUnavailableError,
} from './netlink/error.js';
export { featureBit, featureBits, featureName } from './virtio/features.js';
export { VIRTIO_ID_BLOCK, VIRTIO_ID_NET } from './virtio/ids.js';
