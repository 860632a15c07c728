/**
 * Memory at an address: mappings of libc, from asm-generic/mman.h, and views of them.
 *
 * Addresses are numbers: those of a process are below 2^48 on every architecture that Node runs on.
 */
import { F_ADD_SEALS, F_SEAL_GROW, F_SEAL_SEAL, fcntl, memfdCreate, MFD_ALLOW_SEALING, MFD_CLOEXEC } from './file.js';
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

const MADV_DONTFORK = 10;
const madvise: (address: number, length: number, advice: number) => number = libc.func(
  'int madvise(uintptr_t address, size_t length, int advice)',
);

const getpagesize: () => number = libc.func('int getpagesize()');

/** Page size of this machine, in bytes. */
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
 * mmap(2) of private zeroed memory.
 * @returns the address
 * @throws SystemError
 */
export function mapAnonymous(operation: string, length: number): number {
  return checked(operation, mmapCall(0, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

/** The same, without reserving swap space: for large memory of which little will be used. @throws SystemError */
export function mapReserve(operation: string, length: number): number {
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  return checked(operation, mmapCall(0, length, PROT_READ | PROT_WRITE, flags, -1, 0));
}

/** mprotect(2). @throws SystemError */
export function protect(operation: string, address: number, length: number, protection: number): void {
  checked(operation, mprotectCall(address, length, protection));
}

/**
 * Replaces a mapping by private zeroed memory: accesses to the address read zeros.
 * @throws SystemError
 */
export function mapZeros(operation: string, address: number, length: number): void {
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
  checked(operation, mmapCall(address, length, PROT_READ | PROT_WRITE, flags, -1, 0));
}

/** An empty file that stays empty. */
let emptyFile: number | undefined;

function openEmptyFile(): number {
  const fd = checked('create an empty file', memfdCreate('revoked', MFD_CLOEXEC | MFD_ALLOW_SEALING));
  checked('seal the empty file', fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SEAL));
  return fd;
}

/**
 * Revokes a mapping: an empty file is mapped there from now on. A system call that uses the address, even one in
 * progress, fails with EFAULT, and an access raises SIGBUS.
 * @throws SystemError
 */
export function mapEmptyFile(operation: string, address: number, length: number): void {
  emptyFile ??= openEmptyFile();
  const flags = MAP_SHARED | MAP_NORESERVE | MAP_FIXED;
  checked(operation, mmapCall(address, length, PROT_READ | PROT_WRITE, flags, emptyFile, 0));
}

/** madvise(2): a child process does not get the mapping. @throws SystemError */
export function keepFromChildren(operation: string, address: number, length: number): void {
  checked(operation, madvise(address, length, MADV_DONTFORK));
}

/** munmap(2). Its views must not be used afterwards: accessing one ends the process. @throws SystemError */
export function unmap(operation: string, address: number, length: number): void {
  checked(operation, munmapCall(address, length));
}

/** The same. @returns false if the kernel fails; it may still be mapped then */
export function tryUnmap(address: number, length: number): boolean {
  return munmapCall(address, length) === 0;
}

/** An array buffer over mapped memory, without a copy. */
export function viewMemory(address: number, length: number): ArrayBuffer {
  return koffi.view(address, length);
}

/** Writes an address of 64 bits into two words in the order of the machines that Node supports: the low one first. */
export function writeAddress(words: Uint32Array, at: number, address: number): void {
  words[at] = address >>> 0;
  words[at + 1] = (address / 0x1_0000_0000) >>> 0;
}

/** Memory of this process with a known address, for system calls that use it repeatedly. */
export class NativeBuffer {
  readonly address: number;
  readonly length: number;
  readonly u8: Uint8Array<ArrayBuffer>;
  readonly u32: Uint32Array<ArrayBuffer>;

  /** @param length in bytes; rounded up to whole pages. It is kept until the process ends, unless it is freed. */
  constructor(length: number) {
    this.length = Math.ceil(length / pageSize) * pageSize;
    this.address = mapAnonymous('allocate memory', this.length);
    const buffer = viewMemory(this.address, this.length);
    this.u8 = new Uint8Array(buffer);
    this.u32 = new Uint32Array(buffer);
  }

  /** Frees the memory. The views must not be used afterwards. */
  free(): void {
    unmap('free memory', this.address, this.length);
  }
}
