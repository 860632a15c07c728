/** Six bytes as `00:11:22:33:44:55`. */
export function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** The six bytes of `00:11:22:33:44:55`. */
export function parseMac(text: string): Uint8Array {
  return Uint8Array.from(text.split(':'), (byte) => Number.parseInt(byte, 16));
}

/** is_valid_ether_addr(): neither a group address nor all zeros. */
export function isUnicastMac(bytes: Uint8Array): boolean {
  return ((bytes[0] ?? 1) & 1) === 0 && bytes.some((byte) => byte !== 0);
}
