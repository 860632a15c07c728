/** The content of a state file, with the keys of schemas/state.schema.json. */
import type { ServerEntry } from '../../vduse/spec/arguments.js';

/** A device in a state file. */
export interface DeviceEntry {
  readonly name: string;
  readonly mgmtdev: string;
  readonly type?: 'net' | 'block';
  readonly mac?: string;
  readonly mtu?: number;
  readonly max_vqp?: number;
  readonly device_features?: readonly string[];
  readonly server?: ServerEntry;
  readonly driver?: string | null;
  /** For the node of vhost_vdpa. */
  readonly owner?: string;
  readonly group?: string;
  readonly mode?: string;
}

/** A whole file. */
export interface StateFile {
  readonly version: 1;
  readonly devices: readonly DeviceEntry[];
}
