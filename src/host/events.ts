/** What can happen to management devices and vDPA devices. */
import type { ManagementDevice, ManagementDeviceHandle, VdpaDevice } from '../vdpa/model.js';

/** What every event has. */
export interface EventBase {
  /** When this program heard of it, in microseconds since 1970. */
  readonly time: number;
}

/** A vDPA device came. `device` is what the kernel tells of it, unless it had gone before it could be asked. */
export interface DeviceAdded extends EventBase {
  readonly object: 'dev';
  readonly event: 'added';
  readonly name: string;
  readonly device?: VdpaDevice;
}

export interface DeviceRemoved extends EventBase {
  readonly object: 'dev';
  readonly event: 'removed';
  readonly name: string;
}

/** A driver took the device. With vhost_vdpa and while it lasts, `vhost` is the name of its node. */
export interface DeviceBound extends EventBase {
  readonly object: 'dev';
  readonly event: 'bound';
  readonly name: string;
  readonly driver: string;
  readonly vhost?: string;
}

export interface DeviceUnbound extends EventBase {
  readonly object: 'dev';
  readonly event: 'unbound';
  readonly name: string;
}

/** Something about the device, or about the network interface or disk that is made of it. */
export interface DeviceChanged extends EventBase {
  readonly object: 'dev';
  readonly event: 'changed';
  readonly name: string;
  readonly part: 'netdev' | 'block' | 'device';
  /** The name of the interface or disk. */
  readonly partName?: string;
  /** `added`, `removed`, `renamed`, `resized`, or the kernel's own word for it. */
  readonly change: string;
  /** What a renamed interface was called before. */
  readonly oldName?: string;
}

/** A management device came, or what it offers changed. */
export interface ManagementDeviceSeen extends EventBase {
  readonly object: 'mgmtdev';
  readonly event: 'added' | 'changed';
  readonly device: ManagementDevice;
}

export interface ManagementDeviceRemoved extends EventBase {
  readonly object: 'mgmtdev';
  readonly event: 'removed';
  readonly device: ManagementDeviceHandle;
}

/** The kernel had no room for some events. The events behind it tell what is different since. */
export interface EventsLost extends EventBase {
  readonly object: 'monitor';
  readonly event: 'lost';
}

export type VdpaEvent =
  | DeviceAdded
  | DeviceRemoved
  | DeviceBound
  | DeviceUnbound
  | DeviceChanged
  | ManagementDeviceSeen
  | ManagementDeviceRemoved
  | EventsLost;

type WithoutTime<Event> = Event extends VdpaEvent ? Omit<Event, 'time'> : never;

/** An event as it is put together, before it gets its time. */
export type UntimedEvent = WithoutTime<VdpaEvent>;
