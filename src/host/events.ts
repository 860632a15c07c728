/** Events of management devices and vDPA devices. */
import type { ManagementDevice, VdpaDevice } from '../vdpa/model.js';

/** Properties of all events. */
export interface EventBase {
  /** When this program received it, in microseconds since 1970. */
  readonly time: number;
}

/** A vDPA device was added. `device` is the kernel's data of it, unless it was removed before it could be queried. */
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

/** A driver was bound to the device. With vhost_vdpa, `vhost` is the name of its node while it exists. */
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

/** A change of the device, or of its network interface or disk. */
export interface DeviceChanged extends EventBase {
  readonly object: 'dev';
  readonly event: 'changed';
  readonly name: string;
  readonly part: 'netdev' | 'block' | 'device';
  /** The name of the interface or disk. */
  readonly partName?: string;
  /** `added`, `removed`, `renamed`, `resized`, or another action as the kernel names it. */
  readonly change: string;
  /** The previous name of a renamed interface. */
  readonly oldName?: string;
}

/** A management device was added, or its capabilities changed. */
export interface ManagementDeviceSeen extends EventBase {
  readonly object: 'mgmtdev';
  readonly event: 'added' | 'changed';
  readonly device: ManagementDevice;
}

export interface ManagementDeviceRemoved extends EventBase {
  readonly object: 'mgmtdev';
  readonly event: 'removed';
  readonly device: ManagementDevice;
}

/** The socket buffer was full and events were lost. The events after this one report the differences since. */
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

/** An event before its time is set. */
export type UntimedEvent = WithoutTime<VdpaEvent>;
