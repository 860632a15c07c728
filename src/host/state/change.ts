/** Changes to the devices of a machine. */
import type { DeviceSpec } from '../../vdpa/encode.js';
import type { ServedDeviceSpec } from '../../vduse/spec/device-spec.js';
import type { ActualDevice } from './actual.js';
import type { NodeOwnership } from './node.js';
import type { ServerKey, ServerStart, DesiredServer } from './servers.js';

/** An attribute with its actual and desired values, in the notation of the command line. */
export interface Difference {
  readonly key:
    | 'mgmtdev'
    | 'type'
    | 'mac'
    | 'mtu'
    | 'max_vqp'
    | 'device_features'
    | 'driver'
    | 'owner'
    | 'group'
    | 'mode'
    | 'server'
    | ServerKey;
  readonly from: string;
  readonly to: string;
}

/** A device to create: the request to the kernel, and the driver to bind. */
export interface NewDevice {
  readonly spec: DeviceSpec;
  readonly deviceId: number | undefined;
  /** The server of a VDUSE device. */
  readonly server?: DesiredServer;
  readonly driver?: string | null;
  /** With vhost_vdpa: permissions of its node. */
  readonly node?: NodeOwnership;
}

/** Deletes a device and its server. */
export interface Deletion {
  readonly action: 'delete';
  readonly name: string;
  readonly actual: ActualDevice;
  /** The change that needs a resource of this device: its slot on the card, its address, its file. */
  readonly makesWayFor?: string;
}

/** Creates a device. */
export interface Addition {
  readonly action: 'add';
  readonly name: string;
  readonly device: NewDevice;
  /** For a VDUSE device. */
  readonly start?: ServerStart;
}

/** Deletes a device and creates it again, because the difference cannot be changed in place. */
export interface Replacement {
  readonly action: 'replace';
  readonly name: string;
  readonly device: NewDevice;
  readonly actual: ActualDevice;
  readonly differences: readonly Difference[];
  /** If the new device is a VDUSE device. */
  readonly start?: ServerStart;
  /** The data in the old device's memory will be lost. */
  readonly losesMemory?: boolean;
}

/** Changes a device in place. */
export type Adjustment =
  /** Starts a new server for a VDUSE device whose server has died. */
  | {
      readonly action: 'serve';
      readonly name: string;
      readonly server: ServedDeviceSpec;
      readonly differences: readonly Difference[];
    }
  | {
      readonly action: 'set';
      readonly name: string;
      readonly mac: string;
      readonly actual: ActualDevice;
      readonly differences: readonly Difference[];
    }
  /** `driver` null: unbinds the driver. If the device already has the driver, only its node changes. */
  | {
      readonly action: 'bind';
      readonly name: string;
      readonly driver: string | null;
      readonly node?: NodeOwnership;
      readonly actual: ActualDevice;
      readonly differences: readonly Difference[];
    };

/** One change to a machine. */
export type Change = Deletion | Addition | Replacement | Adjustment;
