/** What can be changed about a machine's devices. */
import type { DeviceSpec } from '../../vdpa/encode.js';
import type { ServedDeviceSpec } from '../../vduse/spec/device-spec.js';
import type { ActualDevice } from './actual.js';
import type { NodeOwnership } from './node.js';
import type { ServerKey, ServerStart, DesiredServer } from './servers.js';

/** An attribute that is not as it is wanted, both as people write them. */
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

/** A device that is to be made: what the kernel is asked for, and the driver that is to have it. */
export interface NewDevice {
  readonly spec: DeviceSpec;
  readonly deviceId: number | undefined;
  /** The server of a VDUSE device. */
  readonly server?: DesiredServer;
  readonly driver?: string | null;
  /** With vhost_vdpa: who may open its node. */
  readonly node?: NodeOwnership;
}

/** A device is deleted, and its server with it. */
export interface Deletion {
  readonly action: 'delete';
  readonly name: string;
  readonly actual: ActualDevice;
  /** The change that needs what this device has: its place on the card, its address, its file. */
  readonly makesWayFor?: string;
}

/** A device is made. */
export interface Addition {
  readonly action: 'add';
  readonly name: string;
  readonly device: NewDevice;
  /** Where the device is one of VDUSE. */
  readonly start?: ServerStart;
}

/** A device is deleted and made anew: what differs cannot be changed while it lives. */
export interface Replacement {
  readonly action: 'replace';
  readonly name: string;
  readonly device: NewDevice;
  readonly actual: ActualDevice;
  readonly differences: readonly Difference[];
  /** Where the new device is one of VDUSE. */
  readonly start?: ServerStart;
  /** What is in the old device's memory will be lost. */
  readonly losesMemory?: boolean;
}

/** A change of a device that lives on. */
export type Adjustment =
  /** A VDUSE device whose server has died gets another one. */
  | {
      readonly action: 'serve';
      readonly name: string;
      readonly server: ServedDeviceSpec;
      readonly differences: readonly Difference[];
    }
  | {
      readonly action: 'set';
      readonly name: string;
      readonly mac: Uint8Array;
      readonly actual: ActualDevice;
      readonly differences: readonly Difference[];
    }
  /** `driver` null: no driver is to have it. Where the driver has it already its node alone changes. */
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
