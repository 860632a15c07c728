/** Replaces a file of the user atomically. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fsyncSync,
  lstatSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
  type Stats,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { strerror } from '../sys/errno.js';
import { UsageError } from './error.js';
import { errnoOf } from './io.js';

/**
 * Replaces a file: writes a temporary file next to it, syncs it, and renames it. An existing file keeps its owner and
 * mode; a new one has the given mode, and is private to the user by default.
 * @throws UsageError if it cannot be written; the old file is unchanged then
 */
export function replaceFile(path: string, text: string, mode = 0o600): void {
  const refuse = (reason: string): never => {
    throw new UsageError(`Cannot write file "${path}": ${reason}`);
  };
  try {
    const old = lstatSync(path, { throwIfNoEntry: false });
    // The target of a link may belong to another user, and a device or a pipe cannot be replaced.
    if (old?.isSymbolicLink() === true) refuse('it is a symbolic link; give the path of its target');
    if (old?.isFile() === false) refuse('it is not a regular file');
    const folder = dirname(path);
    const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}`);
    try {
      writeNew(temporary, text, mode, old);
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
    syncFolder(folder);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    refuse(strerror(errnoOf(error)));
  }
}

function writeNew(path: string, text: string, mode: number, old: Stats | undefined): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, mode);
  try {
    if (old) {
      fchownSync(fd, old.uid, old.gid);
      fchmodSync(fd, old.mode & 0o777);
    }
    writeFileSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Syncs the directory, so that the new name is durable too. */
function syncFolder(folder: string): void {
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
