import type { Field, ValueOf } from './field.js';
import type { blockFields, netFields } from './fields.js';

type Values<F extends Readonly<Record<string, Field>>> = { readonly [Name in keyof F]?: ValueOf<F[Name]> };

/** A block device, as it is asked for. */
export interface BlockDeviceSpec extends Values<typeof blockFields> {
  readonly name: string;
  readonly type: 'block';
}

/** A network device, as it is asked for. */
export interface NetDeviceSpec extends Values<typeof netFields> {
  readonly name: string;
  readonly type: 'net';
}

/** A device that a server of vdpa serves, as it is asked for; what is left out has its default. */
export type ServedDeviceSpec = BlockDeviceSpec | NetDeviceSpec;

/** What a block device may be served from. */
export type BlockBackendName = NonNullable<BlockDeviceSpec['backend']>;

/** What a device of either type may be served from. */
export type BackendName = BlockBackendName | NonNullable<NetDeviceSpec['backend']>;
