/**
 * Entry point of the thread that opens, measures and closes the file of a block device: each of these may block in the
 * file system. See backing-file.ts, which uses it.
 */
import { fstatSync, type BigIntStats } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { majorOf, minorOf } from '../../sys/device-number.js';
import { Errno } from '../../sys/errno.js';
import { SystemError } from '../../sys/error.js';
import * as file from '../../sys/file.js';
import { io, ior, ioctl } from '../../sys/ioctl.js';
import { checked, close } from '../../sys/libc.js';
import { SECTOR_SIZE } from '../../virtio/block.js';
import type { FileInfo, FileReply, FileRequest, FileOptions } from './backing-file.js';
import { blocksOfDisk, readDiskLimits, refuseZoned } from './disk-limits.js';
import { openAccess, type FileAccess } from './file-access.js';
import { defaultBlockSizes, type BlockSizes } from './identity.js';
import { DeviceOptionError } from '../spec/error.js';
import { O_NONBLOCK, O_RDONLY, O_RDWR, openFile } from '../../sys/open-file.js';
import { DEFAULT_BLOCK_SIZE } from '../spec/defaults.js';

/** From linux/fs.h: size of a block device in bytes, and of its logical and physical blocks. */
const BLKGETSIZE64 = ior(0x12, 114, 8);
const BLKSSZGET = io(0x12, 104);
const BLKPBSZGET = io(0x12, 123);

const reply = (message: FileReply): void => parentPort?.postMessage(message);

function openBackingFile(options: FileOptions): { readonly fd: number; readonly facts: FileInfo } {
  const { path, size, blockSize, readonly } = options;
  const fd = openFile(path, (readonly ? O_RDONLY : O_RDWR) | O_NONBLOCK, {
    [Errno.EACCES]: 'To serve a read-only file, add "readonly"',
    [Errno.EROFS]: 'To serve a read-only file, add "readonly"',
  });
  try {
    const stats = fstatSync(fd, { bigint: true });
    if (!stats.isFile() && !stats.isBlockDevice()) {
      throw new DeviceOptionError(`${path} is neither a regular file nor a block device`);
    }
    const deviceBlock = stats.isBlockDevice() ? readInteger(fd, BLKSSZGET) : undefined;
    const blocks =
      deviceBlock === undefined
        ? defaultBlockSizes(blockSize ?? DEFAULT_BLOCK_SIZE)
        : blocksOfDevice(fd, stats, deviceBlock, options);
    const length = measure(fd, stats);
    if (size !== undefined && size > length) {
      throw new DeviceOptionError(`${path} is too small: ${length} bytes, ${size} requested`);
    }
    if (size === undefined && length % blocks.logical !== 0) {
      throw new DeviceOptionError(
        `${path} has ${length} bytes, which is not a multiple of the block size ${blocks.logical}`,
      );
    }
    if (length < SECTOR_SIZE)
      throw new DeviceOptionError(`${path} is empty: set its size first, for example with truncate(1)`);
    lock(path, fd, readonly);
    const file = {
      fd,
      path,
      logicalBlock: blocks.logical,
      ...(deviceBlock !== undefined && { ownBlock: deviceBlock }),
    };
    return { fd, facts: { access: openAccess(file, options), length, name: nameOf(stats), deviceBlock, blocks } };
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** An identifier of a file or a disk that does not change during its lifetime. */
function nameOf(stats: BigIntStats): string {
  const number = (device: bigint): string => `${majorOf(Number(device))}:${minorOf(Number(device))}`;
  return stats.isBlockDevice() ? `disk ${number(stats.rdev)}` : `inode ${stats.ino} of ${number(stats.dev)}`;
}

function blocksOfDevice(fd: number, { rdev }: BigIntStats, logical: number, options: FileOptions): BlockSizes {
  const disk = readDiskLimits(`/sys/dev/block/${majorOf(Number(rdev))}:${minorOf(Number(rdev))}`);
  refuseZoned(options.path, disk);
  return blocksOfDisk(disk, { logical, physical: readInteger(fd, BLKPBSZGET) }, options.blockSize);
}

function readInteger(fd: number, request: number): number {
  const word = new Int32Array(1);
  ioctl('get the block size of a block device', fd, request, new Uint8Array(word.buffer));
  return word[0] ?? 0;
}

function measure(fd: number, stats = fstatSync(fd, { bigint: true })): number {
  if (!stats.isBlockDevice()) return Number(stats.size);
  const word = new BigUint64Array(1);
  ioctl('get the size of a block device', fd, BLKGETSIZE64, new Uint8Array(word.buffer));
  return Number(word[0] ?? 0n);
}

/** Two servers of one file would destroy its data. */
function lock(path: string, fd: number, readonly: boolean): void {
  try {
    checked(`lock ${path}`, file.flock(fd, (readonly ? file.LOCK_SH : file.LOCK_EX) | file.LOCK_NB));
  } catch (error) {
    if (!(error instanceof SystemError) || error.errno !== Errno.EAGAIN) throw error;
    throw new SystemError({
      operation: error.operation,
      errno: error.errno,
      hint: 'It is in use by another program',
      cause: error,
    });
  }
}

function toReply(error: unknown): FileReply {
  if (error instanceof SystemError) {
    const { operation, errno, hint } = error;
    return { type: 'refused', system: { operation, errno, ...(hint !== undefined && { hint }) } };
  }
  if (error instanceof DeviceOptionError) return { type: 'refused', option: error.message };
  return { type: 'failed', text: String(error) };
}

function handle(fd: number, access: FileAccess, request: FileRequest): void {
  if (request === 'measure') {
    let length: number | undefined;
    try {
      length = measure(fd);
    } catch {
      // A file that cannot be measured cannot be read either; reading reports the error.
    }
    reply({ type: 'measured', length });
    return;
  }
  for (const other of access.fds) close(other);
  close(fd);
  reply({ type: 'closed' });
  parentPort?.close();
}

try {
  // backing-file.ts starts this thread with them.
  const { fd, facts } = openBackingFile(workerData as FileOptions);
  parentPort?.on('message', (request: FileRequest) => {
    handle(fd, facts.access, request);
  });
  reply({ type: 'opened', facts });
} catch (error) {
  reply(toReply(error));
}
