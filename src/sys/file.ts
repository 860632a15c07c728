/**
 * File functions of libc with raw addresses, for data that JavaScript never touches. Every call returns -1 on failure.
 */
import { libc } from './libc.js';

/** fallocate(2) modes, from linux/falloc.h. */
export const FALLOC_FL_KEEP_SIZE = 0x01;
export const FALLOC_FL_PUNCH_HOLE = 0x02;
export const FALLOC_FL_ZERO_RANGE = 0x10;

/** Maximum number of entries of a vectored call (UIO_MAXIOV). */
export const IOV_MAX = 1024;

/** readv(2): `vector` is the address of `count` struct iovec. */
export const readv: (fd: number, vector: number, count: number) => number = libc.func(
  'intptr_t readv(int fd, uintptr_t vector, int count)',
);

/** writev(2). */
export const writev: (fd: number, vector: number, count: number) => number = libc.func(
  'intptr_t writev(int fd, uintptr_t vector, int count)',
);

/** pread(2). */
export const pread: (fd: number, address: number, length: number, position: number) => number = libc.func(
  'intptr_t pread(int fd, uintptr_t address, size_t length, int64_t position)',
);

/** pwrite(2). */
export const pwrite: (fd: number, address: number, length: number, position: number) => number = libc.func(
  'intptr_t pwrite(int fd, uintptr_t address, size_t length, int64_t position)',
);

/** preadv(2). */
export const preadv: (fd: number, vector: number, count: number, position: number) => number = libc.func(
  'intptr_t preadv(int fd, uintptr_t vector, int count, int64_t position)',
);

/** pwritev(2). */
export const pwritev: (fd: number, vector: number, count: number, position: number) => number = libc.func(
  'intptr_t pwritev(int fd, uintptr_t vector, int count, int64_t position)',
);

/** fdatasync(2). */
export const fdatasync: (fd: number) => number = libc.func('int fdatasync(int fd)');

/** fallocate(2). */
export const fallocate: (fd: number, mode: number, offset: number, length: number) => number = libc.func(
  'int fallocate(int fd, int mode, int64_t offset, int64_t length)',
);

/** memfd_create(2). */
export const memfdCreate: (name: string, flags: number) => number = libc.func(
  'int memfd_create(const char *name, unsigned int flags)',
);
export const MFD_CLOEXEC = 0x1;
export const MFD_ALLOW_SEALING = 0x2;
/** With the default huge page size of the machine; from linux/memfd.h. */
export const MFD_HUGETLB = 0x4;

/** ftruncate(2). */
export const ftruncate: (fd: number, length: number) => number = libc.func('int ftruncate(int fd, int64_t length)');

/** flock(2), from sys/file.h. */
export const flock: (fd: number, operation: number) => number = libc.func('int flock(int fd, int operation)');
export const LOCK_SH = 1;
export const LOCK_EX = 2;
export const LOCK_NB = 4;

/** fcntl(2) with a number. */
export const fcntl: (fd: number, command: number, argument: number) => number = libc.func(
  'int fcntl(int fd, int command, int argument)',
);

/** Seals of a memory file, from linux/fcntl.h. */
export const F_ADD_SEALS = 1033;
export const F_SEAL_SEAL = 0x1;
export const F_SEAL_SHRINK = 0x2;
export const F_SEAL_GROW = 0x4;
