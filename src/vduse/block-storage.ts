import { fstatSync, type BigIntStats } from 'node:fs';
import { majorOf, minorOf } from '../sys/device-number.js';
import { Errno } from '../sys/errno.js';
import { SystemError } from '../sys/error.js';
import * as file from '../sys/file.js';
import { ior, ioctl } from '../sys/ioctl.js';
import { checked, close } from '../sys/libc.js';
import { SECTOR_SIZE } from '../virtio/block.js';
import type { BackendOptions } from './block-module.js';
import { DeviceOptionError } from './device-option-error.js';
import { checkSize, DEFAULT_SIZE } from './device-options.js';
import { O_NONBLOCK, O_RDONLY, O_RDWR, openFile } from './open.js';

/** Where the data of a block device is. */
export type StorageOptions =
  /** In memory: it is gone when the server ends. */
  | { readonly backend: 'ram'; readonly size?: number }
  /** In a file, or on a block device. Without a size all of it, and as it grows. */
  | { readonly backend: 'file'; readonly path: string; readonly size?: number }
  /** Nowhere: it reads as zeros. */
  | { readonly backend: 'null'; readonly size?: number }
  /** Where a module says, see `CreateBlockBackend`. */
  | { readonly backend: 'module'; readonly module: string; readonly options?: unknown; readonly size: number };

/** _IOR(0x12, 114, size_t), from linux/fs.h: the size of a block device in bytes. */
const BLKGETSIZE64 = ior(0x12, 114, 8);

/** The opened data of a block device. */
export class Storage {
  /** Bytes that the device has: whole blocks. */
  readonly size: number;
  readonly readonly: boolean;
  readonly backend: BackendOptions;
  /** For people: `file /srv/disk.img`. */
  readonly description: string;
  /** Which file or disk it is, whatever its path; see InstanceMakings. */
  readonly file: string | undefined;
  readonly #fd: number | undefined;
  readonly #follows: boolean;

  /**
   * Opens it.
   * @param blockSize what the size must be a multiple of
   * @throws DeviceOptionError, SystemError
   */
  static open(options: StorageOptions, blockSize: number, readonly: boolean): Storage {
    if (options.size !== undefined) checkSize(options.size, blockSize);
    switch (options.backend) {
      case 'ram':
        return openMemory(options.size ?? DEFAULT_SIZE, readonly);
      case 'file':
        return openPath(options.path, options.size, blockSize, readonly);
      case 'null':
        return new Storage({ size: options.size ?? DEFAULT_SIZE, readonly, backend: options, description: 'null' });
      case 'module': {
        const backend = { backend: 'module', module: options.module, options: options.options } as const;
        return new Storage({ size: options.size, readonly, backend, description: options.module });
      }
    }
  }

  constructor(parts: {
    readonly size: number;
    readonly readonly: boolean;
    readonly backend: BackendOptions;
    readonly description: string;
    readonly fd?: number;
    readonly file?: string;
    /** Whether the device is as long as its file. */
    readonly follows?: boolean;
  }) {
    this.size = parts.size;
    this.readonly = parts.readonly;
    this.backend = parts.backend;
    this.description = parts.description;
    this.file = parts.file;
    this.#fd = parts.fd;
    this.#follows = parts.follows === true;
  }

  /** Whether what there is of it can change. */
  get changes(): boolean {
    return this.backend.backend === 'file';
  }

  /** How many bytes the device should have now, and how many of them are there to be used. @throws SystemError */
  measure(blockSize: number): { readonly size: number; readonly left: number } {
    if (this.#fd === undefined || !this.changes) return { size: this.size, left: this.size };
    const length = measureFile(this.#fd);
    const whole = length - (length % blockSize);
    return { size: this.#follows ? Math.max(this.size, whole) : this.size, left: length };
  }

  close(): void {
    if (this.#fd !== undefined) close(this.#fd);
  }
}

function openMemory(size: number, readonly: boolean): Storage {
  const fd = checked('make a memory file', file.memfdCreate('vduse', file.MFD_CLOEXEC | file.MFD_ALLOW_SEALING));
  try {
    checked('size the memory file', file.ftruncate(fd, size));
    checked('seal the memory file', file.fcntl(fd, file.F_ADD_SEALS, file.F_SEAL_SHRINK));
  } catch (error) {
    close(fd);
    throw error;
  }
  return new Storage({ size, readonly, fd, backend: { backend: 'ram', fd, size }, description: 'ram' });
}

function openPath(path: string, wanted: number | undefined, blockSize: number, readonly: boolean): Storage {
  const fd = openFile(path, (readonly ? O_RDONLY : O_RDWR) | O_NONBLOCK, {
    [Errno.EACCES]: 'To serve a file that cannot be written, say readonly',
    [Errno.EROFS]: 'To serve a file that cannot be written, say readonly',
  });
  try {
    const stats = fstatSync(fd, { bigint: true });
    if (!stats.isFile() && !stats.isBlockDevice()) {
      throw new DeviceOptionError(`${path} is neither a file nor a block device`);
    }
    const length = measureFile(fd, stats);
    if (wanted !== undefined && wanted > length) {
      throw new DeviceOptionError(`${path} has ${length} bytes, fewer than the ${wanted} asked for`);
    }
    if (wanted === undefined && length % blockSize !== 0) {
      throw new DeviceOptionError(`${path} has ${length} bytes, not a multiple of the block size, ${blockSize}`);
    }
    if (length < SECTOR_SIZE)
      throw new DeviceOptionError(`${path} is empty: give it a size first, as truncate(1) does`);
    lock(path, fd, readonly);
    const size = wanted ?? length;
    return new Storage({
      size,
      readonly,
      fd,
      follows: wanted === undefined,
      backend: { backend: 'file', fd, size },
      description: path,
      file: fileOf(stats),
    });
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** A name for a file or a disk that it keeps for as long as it is there. */
function fileOf(stats: BigIntStats): string {
  const number = (device: bigint): string => `${majorOf(Number(device))}:${minorOf(Number(device))}`;
  return stats.isBlockDevice() ? `disk ${number(stats.rdev)}` : `inode ${stats.ino} of ${number(stats.dev)}`;
}

function measureFile(fd: number, stats: BigIntStats = fstatSync(fd, { bigint: true })): number {
  if (!stats.isBlockDevice()) return Number(stats.size);
  const word = new BigUint64Array(1);
  ioctl('measure a block device', fd, BLKGETSIZE64, new Uint8Array(word.buffer));
  return Number(word[0] ?? 0n);
}

/** Two servers of one file would destroy what is in it. */
function lock(path: string, fd: number, readonly: boolean): void {
  try {
    checked(`lock ${path}`, file.flock(fd, (readonly ? file.LOCK_SH : file.LOCK_EX) | file.LOCK_NB));
  } catch (error) {
    if (!(error instanceof SystemError) || error.errno !== Errno.EAGAIN) throw error;
    throw new SystemError({
      operation: error.operation,
      errno: error.errno,
      hint: 'Another program has it in use',
      cause: error,
    });
  }
}
