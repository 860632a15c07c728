import type { Field, ValueOf } from './field.js';
import type { blockFields, netFields } from './fields.js';

type Values<F extends Readonly<Record<string, Field>>> = { readonly [Name in keyof F]?: ValueOf<F[Name]> };

/** The specification of a block device. */
export interface BlockDeviceSpec extends Values<typeof blockFields> {
  readonly name: string;
  readonly type: 'block';
}

/** The specification of a network device. */
export interface NetDeviceSpec extends Values<typeof netFields> {
  readonly name: string;
  readonly type: 'net';
}

/** The specification of a device that a server of vdpa serves; omitted fields have their defaults. */
export type ServedDeviceSpec = BlockDeviceSpec | NetDeviceSpec;
