import type { GenlRequest } from '../../netlink/genetlink.js';
import type { MessageBuffer } from '../../netlink/message-buffer.js';
import type { DeviceState, ManagementDeviceState, SimState } from '../../state/model.js';
import type { AddConfig } from './add-config.js';

/** A device as the vdpa core sees it: what the functions of `struct vdpa_config_ops` answer. */
export interface VdpaDevice {
  /** virtio device id. */
  readonly deviceId: number;
  readonly vendorId: number;
  readonly virtqueues: number;
  readonly maxVirtqueueSize: number;
  readonly minVirtqueueSize: number;
  /** Feature bits that it offers. */
  readonly features: bigint;
  /** Its configuration space, as long as its type's. */
  readonly config: Uint8Array;
  /** Writes the vendor's counters of a virtqueue; absent where the driver has none. @throws Refusal */
  readonly writeVendorStats?: (request: GenlRequest, buffer: MessageBuffer, queue: number, stats: QueueContext) => void;
}

/** What counters depend on. */
export interface QueueContext {
  /** The features of the driver side. */
  readonly negotiated: bigint;
  /** Commands that the driver sent over the control queue. */
  readonly controlCommands: bigint;
}

/** The driver of a management device: `struct vdpa_mgmtdev_ops` and the behaviour of its devices. */
export interface ManagementDriver<M extends ManagementDeviceState = ManagementDeviceState> {
  /** The VDPA_ATTR_* that {@link ManagementDriver.add} takes, a bit for each (config_attr_mask). */
  configAttributes(management: M): bigint;
  /** Checks and makes a device, without putting it on the bus. @throws Refusal */
  add(state: SimState, management: M, name: string, config: AddConfig): DeviceState;
  /** Gives the device another MAC address; absent where the driver cannot. @throws Refusal */
  setMac?(state: SimState, device: DeviceState, mac: Uint8Array): DeviceState;
  /** Does what else is to be done when the device has left the bus. */
  removed?(state: SimState, device: DeviceState): void;
  /** The device as the vdpa core sees it. */
  open(state: SimState, management: M, device: DeviceState): VdpaDevice;
  /** What else lies in the directory of sysfs where a device of this name would be put. */
  takenNames(state: SimState, management: M, name: string): readonly string[];
}
