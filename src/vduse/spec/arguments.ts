/** A served device as keywords with values: on command lines, in state files, between servers. */
import { normalizeMac } from '../../virtio/mac-address.js';
import type { ServedDeviceSpec } from './device-spec.js';
import { DeviceOptionError } from './error.js';
import { keywordOf, type Field, type Snake, type ValueOf } from './field.js';
import type { DeviceType } from '../../virtio/classes.js';
import { allFields, fieldEntries, type FieldName, type FieldNamed } from './fields.js';
import { parseCpus } from './processors.js';
import { parseSize, SIZE_FORM } from './size.js';

type FieldOfDevice = {
  [Name in FieldName]: FieldNamed<Name> extends { readonly ofDevice: true } ? Name : never;
}[FieldName];

type FieldOfServer = Exclude<FieldName, FieldOfDevice>;

/** The arguments that describe a served device, by keyword. */
export type DeviceArguments = { readonly type?: DeviceType } & {
  readonly [Name in FieldName as Snake<Name>]?: ValueOf<FieldNamed<Name>>;
};

/**
 * Arguments for its server only.
 * @interface
 */
export type ServerArguments = { readonly [Name in FieldOfServer as Snake<Name>]?: ValueOf<FieldNamed<Name>> };

/** The same in files; see schemas/vduse-server.schema.json. */
export interface ServerEntry extends Omit<ServerArguments, 'size'> {
  /** Bytes, or a text such as `64M`. */
  readonly size?: number | string;
}

/**
 * A served device in JSON, without its name.
 * @interface
 */
export type ServedEntry = { readonly type: DeviceType } & {
  readonly [Name in FieldName as Snake<Name>]?: ValueOf<FieldNamed<Name>>;
};

/** @throws DeviceOptionError for conflicting arguments */
export function toDeviceSpec(name: string, values: DeviceArguments): ServedDeviceSpec {
  const { type = 'block' } = values;
  const own = new Map(fieldEntries(type));
  const given = allFields().flatMap(([key]) => {
    const value = values[keywordOf(key)];
    if (value === undefined) return [];
    const field = own.get(key);
    if (!field) throw strayArgument(keywordOf(key), type);
    checkChoice(type, field, value);
    if (field.kind === 'processors') parseCpus(String(value));
    return [[key, value] as const];
  });
  const fields = Object.fromEntries(given);
  return type === 'net' ? { name, type, ...fields } : { name, type, ...fields };
}

function strayArgument(keyword: string, type: DeviceType): DeviceOptionError {
  const other = type === 'block' ? 'net' : 'block';
  return new DeviceOptionError(`"${keyword}" is only supported by ${other} devices; this one is of type ${type}`);
}

/** Arguments may contain values for fields of the other type. */
function checkChoice(type: DeviceType, field: Field, value: unknown): void {
  if (field.kind !== 'choice' || field.choices.some((choice) => choice === value)) return;
  throw new DeviceOptionError(
    `Backend "${String(value)}" is not supported by ${type} devices: expected ${field.choices.join(', ')}`,
  );
}

/** The arguments of an entry that matches the schema. @throws DeviceOptionError for an invalid size */
export function readServerEntry({ size, ...others }: ServerEntry): ServerArguments {
  if (size === undefined) return others;
  const bytes = parseSize(String(size));
  if (bytes !== undefined) return { ...others, size: bytes };
  throw new DeviceOptionError(`Invalid size "${size}": expected ${SIZE_FORM}`);
}

/** Each field of a device that has a value, in the order of the table. */
function valuesOf(spec: ServedDeviceSpec): [FieldName, Field, string | number | boolean][] {
  const values: Readonly<Partial<Record<FieldName, string | number | boolean>>> = spec;
  return fieldEntries(spec.type).flatMap(([key, field]) => {
    const value = values[key];
    return value === undefined ? [] : [[key, field, value]];
  });
}

/** The arguments that create the device again, for a command line. */
export function formatArguments(spec: ServedDeviceSpec): string[] {
  const values = valuesOf(spec).flatMap(([key, { kind }, value]) => {
    const keyword = keywordOf(key);
    if (kind === 'flag') return value === true ? [keyword] : [];
    return [keyword, typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value)];
  });
  return ['name', spec.name, 'type', spec.type, ...values];
}

/** The device in JSON. */
export function toEntry(spec: ServedDeviceSpec): ServedEntry {
  return {
    type: spec.type,
    ...Object.fromEntries(valuesOf(spec).map(([key, , value]) => [keywordOf(key), value])),
  };
}

/** The device of {@link toEntry}. @throws DeviceOptionError, and ArgumentError for an invalid MAC address */
export function fromEntry(name: string, { mac, ...others }: ServedEntry): ServedDeviceSpec {
  return toDeviceSpec(name, { ...others, ...(mac !== undefined && { mac: normalizeMac(mac) }) });
}

/** The part of an entry under the key `server` in a file; the rest are keys of the device. */
export function serverPart(entry: ServedEntry): ServerArguments {
  const keywords = allFields().flatMap(([name, { ofDevice = false }]) => (ofDevice ? [] : [keywordOf(name)]));
  const values: Readonly<Partial<Record<string, string | number | boolean>>> = entry;
  return {
    ...Object.fromEntries(keywords.flatMap((word) => (values[word] === undefined ? [] : [[word, values[word]]]))),
  };
}
