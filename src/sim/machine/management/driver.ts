import type { GenlRequest } from '../../netlink/genetlink.js';
import type { MessageBuffer } from '../../netlink/message-buffer.js';
import type { DeviceState, ManagementDeviceState, SimState } from '../../state/model.js';
import type { MachineDraft } from '../../state/store.js';
import type { AddConfig } from './add-config.js';

/** A device as the vdpa core sees it: the results of `struct vdpa_config_ops`. */
export interface VdpaDevice {
  /** virtio device id. */
  readonly deviceId: number;
  readonly vendorId: number;
  readonly virtqueues: number;
  readonly maxVirtqueueSize: number;
  readonly minVirtqueueSize: number;
  /** Feature bits that it offers. */
  readonly features: bigint;
  /** Its configuration space, with the length for its type. */
  readonly config: Uint8Array;
  /** Writes the vendor counters of a virtqueue; absent if the driver has none. @throws Refusal */
  readonly writeVendorStats?: (request: GenlRequest, buffer: MessageBuffer, queue: number, stats: QueueContext) => void;
}

/** The state that counters depend on. */
export interface QueueContext {
  /** The features of the driver side. */
  readonly negotiated: bigint;
  /** Commands that the driver sent over the control queue. */
  readonly controlCommands: bigint;
  /** How long the driver has run the device, in milliseconds. */
  readonly runningMs: number;
}

/** The driver of a management device: `struct vdpa_mgmtdev_ops` and the behavior of its devices. */
export interface ManagementDriver<M extends ManagementDeviceState = ManagementDeviceState> {
  /** The VDPA_ATTR_* that {@link ManagementDriver.add} supports, one bit each (config_attr_mask). */
  configAttributes(management: M): bigint;
  /** Validates and creates a device, without adding it to the bus. @throws Refusal */
  add(state: SimState, management: M, name: string, config: AddConfig): DeviceState;
  /** Changes the MAC address of the device; absent if the driver does not support this. @throws Refusal */
  setMac?(state: SimState, device: DeviceState, mac: Uint8Array): DeviceState;
  /** Cleans up after the device was removed from the bus. */
  removed?(draft: MachineDraft, device: DeviceState): void;
  /** The device as the vdpa core sees it. */
  open(state: SimState, management: M, device: DeviceState): VdpaDevice;
  /** The other entries of the sysfs directory that a device of this name would be added to. */
  takenNames(state: SimState, management: M, name: string): readonly string[];
}
