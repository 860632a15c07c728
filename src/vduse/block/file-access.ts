/** How the file of a block device is read and written: through the page cache or not, and by which calls. */
import { closeSync, constants, openSync, statfsSync } from 'node:fs';
import { O_RDONLY, O_RDWR } from '../../sys/open-file.js';
import { directAlignment, type DirectAlignment } from '../../sys/statx.js';
import { AioCarrier } from './backends/aio-carrier.js';
import { RingCarrier } from './backends/ring-carrier.js';
import { DeviceOptionError } from '../spec/error.js';
import type { AioMode, CacheMode } from '../spec/fields.js';

/** f_type of the file systems whose files are in memory, from linux/magic.h. */
const TMPFS_MAGIC = 0x0102_1994;
const RAMFS_MAGIC = 0x8584_58f6;
const HUGETLBFS_MAGIC = 0x9584_58f6;

/** What is asked for. */
export interface AccessOptions {
  readonly cache: CacheMode | undefined;
  readonly aio: AioMode | undefined;
  readonly readonly: boolean;
  /** Number of data threads. */
  readonly threads: number;
}

/** How a file is accessed. */
export interface FileAccessModes {
  readonly cache: CacheMode;
  readonly aio: AioMode;
}

/** The same, for data threads. */
export interface FileAccess extends FileAccessModes {
  /** With cache none: the alignment of memory that transfers require, in bytes. */
  readonly direct: number | undefined;
  /** A descriptor for each data thread. */
  readonly fds: readonly number[];
}

/** Whether this kernel has, and permits, what carries out transfers. */
export interface AvailableAio {
  readonly ioUring: () => boolean;
  /** Linux AIO: io_submit(2). */
  readonly native: () => boolean;
}

/** A file that is open; its logical block is that of the device to serve, `ownBlock` that of a disk. */
export interface FileToAccess {
  readonly fd: number;
  readonly path: string;
  readonly logicalBlock: number;
  readonly ownBlock?: number;
}

/**
 * Chooses how to access a file, and opens it once for each data thread: the kernel reports a loss of data once for each
 * open file.
 * @throws DeviceOptionError if what is asked for is not possible, SystemError
 */
export function openAccess(
  file: FileToAccess,
  options: AccessOptions,
  available: AvailableAio = { ioUring: hasIoUring, native: hasNativeAio },
): FileAccess {
  const isInMemory = file.ownBlock === undefined && isMemoryFile(file.fd);
  const isDirectWanted = options.cache === 'none' || (options.cache === undefined && options.aio === 'native');
  checkAio(options, available);
  const buffered = (cache: CacheMode): FileAccess => {
    const aio = options.aio ?? chooseAio(false, isInMemory, available);
    return { cache, aio, direct: undefined, fds: reopen(file.fd, 0, options) };
  };
  if (options.cache !== undefined && options.cache !== 'none') return buffered(options.cache);
  // One transfer after another, a disk is slower without the page cache.
  if (!isDirectWanted && (isInMemory || options.aio === 'sync')) return buffered('writeback');
  const direct = openDirect(file, options);
  if (typeof direct !== 'string') {
    return { cache: 'none', aio: options.aio ?? chooseAio(true, isInMemory, available), ...direct };
  }
  if (!isDirectWanted) return buffered('writeback');
  const what = options.cache === 'none' ? '"cache none"' : '"aio native" requires "cache none", which';
  throw new DeviceOptionError(`${what} is not supported by ${file.path}: ${direct}`);
}

function hasIoUring(): boolean {
  const ring = RingCarrier.open(-1, 1);
  ring?.close();
  return ring !== undefined;
}

function hasNativeAio(): boolean {
  const queue = AioCarrier.open(-1, 1);
  queue?.close();
  return queue !== undefined;
}

/** @throws DeviceOptionError if what is asked for is not available, or not with this cache */
function checkAio({ aio, cache }: AccessOptions, available: AvailableAio): void {
  if (aio === 'io_uring' && !available.ioUring()) {
    throw new DeviceOptionError(
      '"aio io_uring" is not permitted here, or not supported by this kernel: see kernel.io_uring_disabled',
    );
  }
  if (aio === 'native' && cache !== undefined && cache !== 'none') {
    throw new DeviceOptionError(`"aio native" requires "cache none", not "cache ${cache}"`);
  }
  if (aio === 'native' && !available.native()) {
    throw new DeviceOptionError(
      '"aio native" is not permitted here, not supported by this kernel, or exhausted: see fs.aio-max-nr',
    );
  }
  if (aio === 'sync' && cache === 'none') {
    throw new DeviceOptionError('"cache none" is not supported with "aio sync": try "aio threads"');
  }
}

/**
 * The best way there is. A transfer of a file in memory does not wait: there is nothing to gain by several in flight.
 */
function chooseAio(direct: boolean, isInMemory: boolean, available: AvailableAio): AioMode {
  if (isInMemory) return 'sync';
  if (available.ioUring()) return 'io_uring';
  return direct && available.native() ? 'native' : 'threads';
}

/** @returns why it is not possible, if it is not */
function openDirect(
  { fd, logicalBlock, ownBlock }: FileToAccess,
  options: AccessOptions,
): Pick<FileAccess, 'direct' | 'fds'> | string {
  const alignment =
    directAlignment(fd) ?? (ownBlock === undefined ? undefined : { memory: ownBlock, offset: ownBlock });
  const fds = alignment && tryReopenDirect(fd, options);
  if (alignment === undefined || fds === undefined) return 'its file system does not support direct access';
  if (isPossible(alignment, logicalBlock)) return { direct: alignment.memory, fds };
  fds.forEach(closeSync);
  return `its blocks have ${alignment.offset} bytes, those of the device ${logicalBlock}: try "block_size 4096"`;
}

function isMemoryFile(fd: number): boolean {
  const { type } = statfsSync(`/proc/self/fd/${fd}`);
  return [TMPFS_MAGIC, RAMFS_MAGIC, HUGETLBFS_MAGIC].includes(type >>> 0);
}

/** The transfers of a driver have whole blocks. */
function isPossible(alignment: DirectAlignment, logicalBlock: number): boolean {
  return logicalBlock % alignment.offset === 0;
}

/** The same file, whatever its path is now. */
function reopen(fd: number, flags: number, { threads, readonly }: AccessOptions): number[] {
  const fds: number[] = [];
  try {
    while (fds.length < threads) {
      fds.push(openSync(`/proc/self/fd/${fd}`, (readonly ? O_RDONLY : O_RDWR) | flags));
    }
    return fds;
  } catch (error) {
    fds.forEach(closeSync);
    throw error;
  }
}

function tryReopenDirect(fd: number, options: AccessOptions): number[] | undefined {
  try {
    return reopen(fd, constants.O_DIRECT, options);
  } catch {
    return undefined;
  }
}
