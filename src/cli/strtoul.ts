/** Numbers at the start of a text, read as the C library reads them for iproute2. */

/** What isspace() skips in the C locale. */
const blanks = '[ \\t\\n\\v\\f\\r]*';

/** What strtoul(3) takes as the digits, by its base. 0 lets the text say it: 0x is hexadecimal, 0 octal. */
const strtoulForms = {
  0: new RegExp(`^${blanks}([+-]?)(0x[0-9a-f]+|0[0-7]*|[1-9][0-9]*)`, 'i'),
  10: new RegExp(`^${blanks}([+-]?)([0-9]+)`),
  16: new RegExp(`^${blanks}([+-]?)(?:0x(?=[0-9a-f]))?([0-9a-f]+)`, 'i'),
} as const;

/** What `%x` of scanf(3) takes: unlike strtoul() it takes `0x` for 0 where no digit follows. */
const scanfForm = new RegExp(`^${blanks}([+-]?)(0x[0-9a-f]*|[0-9a-f]+)`, 'i');

/** A number that leads a text. */
export interface LeadingNumber {
  /** Without its sign, and however large. */
  readonly value: bigint;
  readonly isNegative: boolean;
  /** What follows the number. */
  readonly rest: string;
}

/** Reads what strtoul() reads; undefined where no number leads the text. */
export function strtoul(text: string, base: keyof typeof strtoulForms): LeadingNumber | undefined {
  return numberOf(text, strtoulForms[base].exec(text), base);
}

/** Reads what scanf() reads for `%x`; undefined where no number leads the text. */
export function scanHexadecimal(text: string): LeadingNumber | undefined {
  return numberOf(text, scanfForm.exec(text), 16);
}

/** The number as an unsigned long holds it: the nearest that it can hold, or less than 0 by wrapping around. */
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
