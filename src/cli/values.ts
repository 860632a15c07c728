/** Parsers of values on the command line. Each throws UsageError for an invalid value. */
import { encodeText, maxTextLength } from '../netlink/text-encoding.js';
import { parseSize, SIZE_FORM } from '../vduse/spec/size.js';
import { deviceTypeNames, type DeviceType } from '../virtio/classes.js';
import { featureBit } from '../virtio/features.js';
import { formatMac } from '../virtio/mac-address.js';
import { parseHandle } from '../vdpa/model.js';
import { asUnsignedLong, scanHexadecimal, strtoul, type LeadingNumber } from './strtoul.js';
import { StricterError, UsageError } from './error.js';

/** The name of a device. The kernel validates names; here it only has to fit a message. */
export function readName(text: string): string {
  const { length } = encodeText(text);
  if (length > maxTextLength) {
    throw new UsageError(`Name too long: ${length} bytes; a netlink message holds at most ${maxTextLength}`);
  }
  return text;
}

/** The keyword for the name of a device, which iproute2 requires. */
export const nameKeyword = {
  placeholder: 'NAME',
  read: readName,
  abbreviable: true,
  missing: 'device name is not set.',
} as const;

/** `bus/name` or `name`. */
export function readHandle(text: string): string {
  if (text.split('/').length > 2) {
    throw new UsageError(
      'Wrong vdpa mgmtdev identification string format',
      'Expected "mgmtdev_bus_name/mgmtdev_name"',
      'Expected "mgmtdev_name"',
    );
  }
  const { bus, name } = parseHandle(text);
  if (bus !== undefined) readName(bus);
  readName(name);
  return text;
}

/**
 * Six numbers of up to 255 in hexadecimal, as in iproute2: `00:11:22:33:44:55`. Other texts that iproute2 accepts are
 * rejected: the result is hardly what was meant.
 */
export function readMac(text: string): string {
  if (text.includes('.')) throw isDottedAddress(text) ? noSixGroups(text) : notAnAddress(text);
  const groups = text.split(':');
  // iproute2 reads six and ignores the rest.
  const numbers = groups.slice(0, 6).map((group) => {
    const number = scanHexadecimal(group);
    if (number === undefined || !isByte(asInt(number))) throw notAnAddress(group);
    return number;
  });
  const isPlain = ({ value, isNegative, rest }: LeadingNumber): boolean => value <= 0xff && !isNegative && rest === '';
  if (groups.length !== 6 || !numbers.every(isPlain) || groups.some(endsWithPrefix)) throw noSixGroups(text);
  return formatMac(Uint8Array.from(numbers, ({ value }) => Number(value)));
}

function notAnAddress(text: string): UsageError {
  return new UsageError(`"${text}" is invalid lladdr.`);
}

function noSixGroups(text: string): StricterError {
  return new StricterError(
    `Invalid lladdr "${text}": expected six groups of one or two hexadecimal digits, as in 00:11:22:33:44:55`,
  );
}

/** Whether iproute2 accepts a text with dots: one to four numbers of up to 255, each parsed by strtoul(). */
function isDottedAddress(text: string): boolean {
  let left = text;
  for (let count = 1; count <= 4; count++) {
    const number = strtoul(left, 0);
    if (number === undefined || asUnsignedLong(number) > 0xff) return false;
    if (number.rest === '') return true;
    if (!number.rest.startsWith('.')) return false;
    left = number.rest.slice(1);
  }
  return false;
}

/** The value that scanf() stores in an int. */
function asInt(number: LeadingNumber): number {
  return Number(BigInt.asIntN(32, asUnsignedLong(number)));
}

const isByte = (value: number): boolean => value >= 0 && value <= 0xff;

/** `0x` without a digit. */
const endsWithPrefix = (group: string): boolean => /x$/i.test(group);

/**
 * A parser of decimal numbers from `min` to `max`; `what` names the number in the error. As with strtoul(), leading
 * blanks and a plus are accepted.
 */
export function readNumber(what: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const number = strtoul(text, 10);
    const value = number === undefined || number.isNegative || number.rest !== '' ? Number.NaN : Number(number.value);
    if (!(value >= min && value <= max)) {
      throw new UsageError(`Invalid ${what} "${text}": expected a number from ${min} to ${max}`);
    }
    return value;
  };
}

/** A parser of one of several words or numbers; `word` names it in the error. */
export function readChoice<Choice extends string | number>(
  word: string,
  choices: readonly Choice[],
): (text: string) => Choice {
  return (text) => {
    const found = choices.find((choice) => String(choice) === text);
    if (found !== undefined) return found;
    const list = choices.join(choices.length === 2 ? ' or ' : ', ');
    throw new UsageError(`Invalid ${word} "${text}": expected ${list}`);
  };
}

/** A number of bytes: `4096`, `4K`. */
export function readSize(text: string): number {
  const bytes = parseSize(text);
  if (bytes !== undefined) return bytes;
  throw new UsageError(`Invalid size "${text}": expected ${SIZE_FORM}`);
}

/** Feature bits as given: a number, or names that are resolved once the device's type is known. */
export type FeatureArgument = { readonly bits: bigint } | { readonly names: readonly string[] };

/** 64 feature bits in hexadecimal, with or without `0x`; or names separated by commas: `MAC,MTU,VERSION_1,bit_40`. */
export function readFeatures(text: string): FeatureArgument {
  const number = strtoul(text, 16);
  if (number?.rest === '') {
    if (!number.isNegative && number.value <= 0xffff_ffff_ffff_ffffn) return { bits: number.value };
  } else if (/^[a-z][a-z0-9_]*(,[a-z][a-z0-9_]*)*$/i.test(text)) {
    return { names: text.split(',') };
  }
  throw new UsageError(
    `Invalid device_features "${text}": expected up to 64 bits in hexadecimal, or feature names separated by commas`,
  );
}

/** `net` or `block`. */
export function readDeviceType(text: string): DeviceType {
  const type = deviceTypeNames.find((name) => name === text);
  if (type === undefined) throw new UsageError(`Invalid type "${text}": expected ${deviceTypeNames.join(' or ')}`);
  return type;
}

/**
 * The bits of feature names.
 * @param deviceId the virtio id of the device's type; undefined if it may be one of several: then only names common to
 *   all types are known
 * @throws UsageError for a name without a bit
 */
export function resolveFeatures(argument: FeatureArgument, deviceId: number | undefined): bigint {
  if ('bits' in argument) return argument.bits;
  let bits = 0n;
  for (const name of argument.names) {
    const bit = featureBit(name, deviceId);
    if (bit === undefined) {
      throw new UsageError(
        `Unknown feature "${name}"${deviceId === undefined ? ': features of one device type require "type"' : ' for this device type'}`,
      );
    }
    bits |= 1n << BigInt(bit);
  }
  return bits;
}
