/** Readers of the values that stand on the command line. Each throws UsageError for what it cannot read. */
import { featureBit } from '../virtio/features.js';
import { VIRTIO_ID_BLOCK, VIRTIO_ID_NET } from '../virtio/ids.js';
import type { ManagementDeviceHandle } from '../vdpa/model.js';
import { UsageError } from './error.js';

/** `bus/name` or `name`. */
export function readHandle(text: string): ManagementDeviceHandle {
  const [first = '', second, ...more] = text.split('/');
  if (more.length > 0) {
    throw new UsageError(
      'Wrong vdpa mgmtdev identification string format',
      'Expected "mgmtdev_bus_name/mgmtdev_name"',
      'Expected "mgmtdev_name"',
    );
  }
  return second === undefined ? { name: first } : { bus: first, name: second };
}

/** Six groups of one or two hexadecimal digits: `00:11:22:33:44:55`. */
export function readMac(text: string): Uint8Array {
  const groups = text.split(':');
  const wrong = groups.find((group) => !/^[0-9a-f]{1,2}$/i.test(group));
  if (wrong !== undefined) throw invalidMac(groups.length > 1 ? wrong : text);
  if (groups.length !== 6) throw invalidMac(text);
  return Uint8Array.from(groups, (group) => Number.parseInt(group, 16));
}

function invalidMac(text: string): UsageError {
  return new UsageError(`"${text}" is invalid lladdr.`);
}

/** A reader of decimal numbers from `min` to `max`; `what` names the number in the error. */
export function readNumber(what: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^[0-9]+$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) {
      throw new UsageError(`"${text}" is invalid ${what}: a number from ${min} to ${max} expected`);
    }
    return value;
  };
}

/** Feature bits as they were written: a number, or names that mean something once the device's type is known. */
export type FeatureWord = { readonly bits: bigint } | { readonly names: readonly string[] };

/** 64 feature bits in hexadecimal, with or without `0x`; or names joined by commas: `MAC,MTU,VERSION_1,bit_40`. */
export function readFeatures(text: string): FeatureWord {
  if (/^(0x)?[0-9a-f]{1,16}$/i.test(text)) return { bits: BigInt(`0x${text.replace(/^0x/i, '')}`) };
  if (/^[a-z][a-z0-9_]*(,[a-z][a-z0-9_]*)*$/i.test(text)) return { names: text.split(',') };
  throw new UsageError(
    `"${text}" is invalid device_features: a hexadecimal number of up to 64 bits, or feature names joined by commas, expected`,
  );
}

const deviceTypes = { net: VIRTIO_ID_NET, block: VIRTIO_ID_BLOCK } as const;

/** A kind of device that can be asked for by name. */
export type DeviceType = keyof typeof deviceTypes;

/** `net` or `block`. */
export function readDeviceType(text: string): DeviceType {
  if (text === 'net' || text === 'block') return text;
  throw new UsageError(`"${text}" is invalid type: net or block expected`);
}

/** The virtio device id of a type. */
export function deviceTypeId(type: DeviceType): number {
  return deviceTypes[type];
}

/** The bits that feature names stand for on a device of this virtio id. @throws UsageError for a name without a bit */
export function featureWord(word: FeatureWord, deviceId: number | undefined): bigint {
  if ('bits' in word) return word.bits;
  let bits = 0n;
  for (const name of word.names) {
    const bit = featureBit(name, deviceId);
    if (bit === undefined) throw new UsageError(`"${name}" is no feature that this kind of device has`);
    bits |= 1n << BigInt(bit);
  }
  return bits;
}
