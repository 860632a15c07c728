const units = 'KMGTP';

/**
 * Parses a size: `67108864`, `64M`, `64MiB`, `1G`. The units are powers of 1024.
 * @returns bytes; undefined for an invalid size
 */
export function parseSize(text: string): number | undefined {
  const [, digits, unit] = /^([0-9]+)(?:([kmgtp])(?:ib)?)?$/i.exec(text) ?? [];
  const power = unit === undefined ? 0 : units.indexOf(unit.toUpperCase()) + 1;
  const bytes = Number(digits ?? Number.NaN) * 1024 ** power;
  return bytes > 0 && bytes <= 2 ** 52 ? bytes : undefined;
}

/** The accepted notations of a size, for errors. */
export const SIZE_FORM = 'bytes, or a number followed by K, M, G, T or P';
