/** Creates the file of a block device if it does not exist. */
import { closeSync, constants, fstatSync, ftruncateSync, lstatSync, openSync, unlinkSync } from 'node:fs';
import { Errno, nodeErrno } from '../../sys/errno.js';
import { SystemError } from '../../sys/error.js';
import { checkDeviceSpec } from '../spec/resolve.js';
import type { ServedDeviceSpec } from '../spec/device-spec.js';

const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** The path and size of the file of a device, if both were given. */
function fileOf(device: ServedDeviceSpec): { readonly path: string; readonly size: number } | undefined {
  if (device.type !== 'block') return undefined;
  const { path, size } = device;
  return path === undefined || size === undefined ? undefined : { path, size };
}

/**
 * Creates the file of a device whose size was given, sparse and accessible only to its owner. An existing file is left
 * unchanged.
 * @returns a function that removes the file; undefined if none was created
 * @throws DeviceOptionError if the device is invalid; SystemError if the file cannot be created
 */
export function createBackingFile(device: ServedDeviceSpec): (() => void) | undefined {
  const file = fileOf(device);
  if (!file) return undefined;
  checkDeviceSpec(device);
  const { path, size } = file;
  let fd: number;
  try {
    fd = openSync(path, NEW_FILE, 0o600);
  } catch (error) {
    if (nodeErrno(error) === Errno.EEXIST) return undefined;
    throw failure(`create ${path}`, error);
  }
  const { dev, ino } = fstatSync(fd, { bigint: true });
  const remove = (): void => {
    const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    if (found?.dev === dev && found.ino === ino) unlinkSync(path);
  };
  try {
    ftruncateSync(fd, size);
  } catch (error) {
    remove();
    throw failure(`set the size of ${path} to ${size} bytes`, error);
  } finally {
    closeSync(fd);
  }
  return remove;
}

function failure(operation: string, cause: unknown): unknown {
  const errno = nodeErrno(cause);
  return errno === undefined ? cause : new SystemError({ operation, errno, cause });
}
