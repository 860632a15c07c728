/**
 * Memory at an address: mappings of libc, from asm-generic/mman.h, and views of them.
 *
 * Addresses are numbers: those of a process are below 2^48 on every architecture that Node runs on.
 */
import { koffi } from './koffi.js';
import { checked, libc } from './libc.js';

export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const PROT_EXEC = 4;

export const MAP_SHARED = 0x01;
export const MAP_PRIVATE = 0x02;
export const MAP_FIXED = 0x10;
export const MAP_ANONYMOUS = 0x20;
export const MAP_NORESERVE = 0x4000;

const mmapCall: (
  address: number,
  length: number,
  protection: number,
  flags: number,
  fd: number,
  offset: number,
) => number = libc.func(
  'intptr_t mmap(uintptr_t address, size_t length, int protection, int flags, int fd, int64_t offset)',
);

const munmapCall: (address: number, length: number) => number = libc.func(
  'int munmap(uintptr_t address, size_t length)',
);

const mprotectCall: (address: number, length: number, protection: number) => number = libc.func(
  'int mprotect(uintptr_t address, size_t length, int protection)',
);

const getpagesize: () => number = libc.func('int getpagesize()');

/** Bytes in a page of this machine. */
export const pageSize = getpagesize();

/**
 * mmap(2) of a file.
 * @param offset in bytes, a multiple of {@link pageSize}
 * @returns the address
 * @throws SystemError
 */
export function mapFile(
  operation: string,
  fd: number,
  length: number,
  protection: number,
  flags: number,
  offset: number,
): number {
  return checked(operation, mmapCall(0, length, protection, flags, fd, offset));
}

/**
 * mmap(2) of zeroed memory that is this process's own.
 * @returns the address
 * @throws SystemError
 */
export function mapAnonymous(operation: string, length: number): number {
  return checked(operation, mmapCall(0, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

/** The same, without room in swap set aside: for much of which little will be used. @throws SystemError */
export function mapReserve(operation: string, length: number): number {
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  return checked(operation, mmapCall(0, length, PROT_READ | PROT_WRITE, flags, -1, 0));
}

/** mprotect(2). @throws SystemError */
export function protect(operation: string, address: number, length: number, protection: number): void {
  checked(operation, mprotectCall(address, length, protection));
}

/**
 * Puts zeroed memory of this process's own where something else is mapped. Whoever still uses the address, even a system
 * call under way, uses that from now on.
 * @throws SystemError
 */
export function replaceMapping(operation: string, address: number, length: number): void {
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
  checked(operation, mmapCall(address, length, PROT_READ | PROT_WRITE, flags, -1, 0));
}

/** munmap(2). The views of it must not be used any more: touching one ends the process. @throws SystemError */
export function unmap(operation: string, address: number, length: number): void {
  checked(operation, munmapCall(address, length));
}

/** An array buffer over memory that is mapped, without a copy. */
export function viewMemory(address: number, length: number): ArrayBuffer {
  return koffi.view(address, length);
}

/** memmove(3): between any two addresses. */
export const copyMemory: (destination: number, source: number, length: number) => void = libc.func(
  'void memmove(uintptr_t destination, uintptr_t source, size_t length)',
);

/** memset(3). */
export const fillMemory: (address: number, byte: number, length: number) => void = libc.func(
  'void memset(uintptr_t address, int byte, size_t length)',
);

/** Writes an address of 64 bits into two words, as the machines that Node runs on keep it: the low one first. */
export function writeAddress(words: Uint32Array, at: number, address: number): void {
  words[at] = address >>> 0;
  words[at + 1] = (address / 0x1_0000_0000) >>> 0;
}

/** Memory of this process with a known address, for what system calls read and fill again and again. */
export class NativeBuffer {
  readonly address: number;
  readonly length: number;
  readonly u8: Uint8Array<ArrayBuffer>;
  readonly u32: Uint32Array<ArrayBuffer>;

  /** @param length in bytes; made whole pages. It stays for the life of the process unless it is freed. */
  constructor(length: number) {
    this.length = Math.ceil(length / pageSize) * pageSize;
    this.address = mapAnonymous('allocate memory', this.length);
    const buffer = viewMemory(this.address, this.length);
    this.u8 = new Uint8Array(buffer);
    this.u32 = new Uint32Array(buffer);
  }

  /** Gives the memory back. The views must not be used any more. */
  free(): void {
    unmap('free memory', this.address, this.length);
  }
}
