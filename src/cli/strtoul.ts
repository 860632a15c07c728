/** Numbers at the start of a text, parsed like the C library does for iproute2. */

/** The characters of isspace() in the C locale. */
const blanks = '[ \\t\\n\\v\\f\\r]*';

/** The digits of strtoul(3), by base. Base 0 depends on the prefix: 0x is hexadecimal, 0 octal. */
const strtoulForms = {
  0: new RegExp(`^${blanks}([+-]?)(0x[0-9a-f]+|0[0-7]*|[1-9][0-9]*)`, 'i'),
  10: new RegExp(`^${blanks}([+-]?)([0-9]+)`),
  16: new RegExp(`^${blanks}([+-]?)(?:0x(?=[0-9a-f]))?([0-9a-f]+)`, 'i'),
} as const;

/** `%x` of scanf(3): unlike strtoul() it accepts `0x` without digits as 0. */
const scanfForm = new RegExp(`^${blanks}([+-]?)(0x[0-9a-f]*|[0-9a-f]+)`, 'i');

/** A number at the start of a text. */
export interface LeadingNumber {
  /** Without its sign, of any size. */
  readonly value: bigint;
  readonly isNegative: boolean;
  /** What follows the number. */
  readonly rest: string;
}

/** Parses like strtoul(); undefined if the text does not start with a number. */
export function strtoul(text: string, base: keyof typeof strtoulForms): LeadingNumber | undefined {
  return numberOf(text, strtoulForms[base].exec(text), base);
}

/** Parses like `%x` of scanf(); undefined if the text does not start with a number. */
export function scanHexadecimal(text: string): LeadingNumber | undefined {
  return numberOf(text, scanfForm.exec(text), 16);
}

/** The number as an unsigned long: clamped to its range, negative ones wrapped around. */
export function asUnsignedLong({ value, isNegative }: LeadingNumber): bigint {
  if (value > largestLong) return largestLong;
  return isNegative ? BigInt.asUintN(64, -value) : value;
}

const largestLong = 0xffff_ffff_ffff_ffffn;

function numberOf(text: string, match: RegExpExecArray | null, base: 0 | 10 | 16): LeadingNumber | undefined {
  if (match === null) return undefined;
  const [whole, sign, digits = ''] = match;
  return { value: valueOf(digits.toLowerCase(), base), isNegative: sign === '-', rest: text.slice(whole.length) };
}

function valueOf(digits: string, base: 0 | 10 | 16): bigint {
  if (digits.startsWith('0x')) return BigInt(digits === '0x' ? '0x0' : digits);
  if (base === 16) return BigInt(`0x${digits}`);
  return BigInt(base === 0 && digits.startsWith('0') ? `0o0${digits}` : digits);
}
