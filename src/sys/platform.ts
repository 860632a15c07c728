/** Requirements of the program on the machine, apart from its kernel. */
export interface Platform {
  /** The name used by Node: `x64`. */
  readonly arch: string;
  readonly littleEndian: boolean;
}

/** Node's names of architectures with addresses of 32 bits. */
const narrow: readonly string[] = ['arm', 'ia32', 'mips', 'mipsel', 'ppc', 's390'];

const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/**
 * Why the program does not run on a machine: it accesses structures of the kernel with 64-bit addresses, and the
 * little-endian numbers of virtio in the machine's own byte order.
 * @returns one line; undefined if it runs
 */
export function whyUnsupported(platform: Platform = { arch: process.arch, littleEndian }): string | undefined {
  const { arch } = platform;
  if (narrow.includes(arch)) return `vdpa does not support ${arch}: it requires a 64-bit Node and kernel`;
  if (!platform.littleEndian) return `vdpa does not support big-endian ${arch}: it requires a little-endian machine`;
  return undefined;
}
