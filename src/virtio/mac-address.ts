/** MAC addresses: six bytes, and their text. */
import { ArgumentError } from '../sys/error.js';

/** The notation of six bytes: `00:11:22:33:44:55`, in lower case. */
export function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

const notation = /^[0-9a-f]{1,2}(?::[0-9a-f]{1,2}){5}$/i;

/**
 * Parses a MAC address: six groups of one or two hexadecimal digits, `00:11:22:33:44:55`.
 * @returns six bytes
 * @throws ArgumentError for any other text
 */
export function parseMac(text: string): Uint8Array {
  if (!notation.test(text)) {
    throw new ArgumentError(
      `Invalid MAC address "${text}": expected six bytes in hexadecimal, as in 00:11:22:33:44:55`,
    );
  }
  return Uint8Array.from(text.split(':'), (byte) => Number.parseInt(byte, 16));
}

/** A MAC address as {@link formatMac} writes it. @throws ArgumentError for an invalid one */
export function normalizeMac(text: string): string {
  return formatMac(parseMac(text));
}

/** No address. */
export const noMac = '00:00:00:00:00:00';

/** eth_random_addr(): a random unicast address that is locally administered. */
export function randomMac(): string {
  const bytes = Uint8Array.from({ length: 6 }, () => Math.floor(Math.random() * 256));
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 2;
  return formatMac(bytes);
}

/** is_valid_ether_addr(): neither a group address nor all zeros. */
export function isUnicastMac(bytes: Uint8Array): boolean {
  return ((bytes[0] ?? 1) & 1) === 0 && bytes.some((byte) => byte !== 0);
}
