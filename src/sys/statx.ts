/** statx(2), from linux/stat.h: what fstat(2) does not tell. */
import { libc } from './libc.js';

const AT_EMPTY_PATH = 0x1000;
const STATX_DIOALIGN = 0x2000;
const BYTES = 256;
/** Offsets in struct statx. */
const MASK = 0x00;
const DIO_MEM_ALIGN = 0x98;
const DIO_OFFSET_ALIGN = 0x9c;

const statx: (folder: number, path: string, flags: number, mask: number, buffer: Uint8Array) => number = libc.func(
  'int statx(int folder, const char *path, int flags, unsigned int mask, _Out_ uint8_t *buffer)',
);

/** What O_DIRECT requires, in bytes. */
export interface DirectAlignment {
  /** Of the addresses and lengths of memory. */
  readonly memory: number;
  /** Of positions in the file and of lengths. */
  readonly offset: number;
}

/**
 * What O_DIRECT requires of transfers of an open file.
 * @returns undefined if the file does not support it, or the kernel (before Linux 6.1) does not tell
 */
export function directAlignment(fd: number): DirectAlignment | undefined {
  const buffer = new Uint8Array(BYTES);
  if (statx(fd, '', AT_EMPTY_PATH, STATX_DIOALIGN, buffer) !== 0) return undefined;
  const view = new DataView(buffer.buffer);
  if ((view.getUint32(MASK, true) & STATX_DIOALIGN) === 0) return undefined;
  const memory = view.getUint32(DIO_MEM_ALIGN, true);
  const offset = view.getUint32(DIO_OFFSET_ALIGN, true);
  return memory === 0 || offset === 0 ? undefined : { memory, offset };
}
