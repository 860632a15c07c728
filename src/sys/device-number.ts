/** dev_t of the C library: 12 bits of the major number between two parts of the minor one. */

export function majorOf(device: number): number {
  return Math.floor(device / 256) % 4096;
}

export function minorOf(device: number): number {
  return (device % 256) + Math.floor(device / 2 ** 20) * 256;
}
