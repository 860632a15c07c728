/** Writes the files of a simulated machine to a folder, and keeps them up to date. */
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { decodeText, encodeText } from '../../../netlink/text-encoding.js';
import { Errno, nodeErrno } from '../../../sys/errno.js';
import { SystemError } from '../../../sys/error.js';
import { isFileName } from '../../../sysfs/bus.js';
import type { DeviceNode, Directory, FileNode } from './node.js';

/** The directories of the root that are written. */
const written = ['sys', 'dev'] as const;

const newFile = constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_CREAT | constants.O_EXCL;

/**
 * Writes /sys and /dev. Links are relative and lead to files in the folder. Device nodes are empty files with the same
 * permissions, and for root the same owner. Writing to a file does not change the machine.
 * @param folder is created; an existing one must be empty, or have been written by this function before: then only what
 * has changed is written, and what no longer exists is removed
 * @throws SystemError ENOTEMPTY for a folder with other files, and errors of the file system
 */
export function exportFiles(root: Directory, folder: string): void {
  const operation = `write the files of the simulated machine to ${folder}`;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    const other = readdirSync(folder).find((name) => !written.some((own) => own === name));
    if (other !== undefined) {
      const hint = `It contains ${other}: use a new folder`;
      throw new SystemError({ operation, errno: Errno.ENOTEMPTY, hint });
    }
    for (const name of written) {
      const node = root.get(name);
      if (node) write(`${folder}/${name}`, node);
    }
  } catch (cause) {
    const errno = cause instanceof SystemError ? undefined : nodeErrno(cause);
    throw errno === undefined ? cause : new SystemError({ operation, errno, cause });
  }
}

function write(path: string, node: FileNode): void {
  const there = kindOf(path);
  const kind = node.kind === 'device' ? 'file' : node.kind;
  if (there !== undefined && there !== kind) rmSync(bytesOf(path), { recursive: true });
  const isNew = there !== kind;
  switch (node.kind) {
    case 'directory':
      if (isNew) mkdirSync(bytesOf(path));
      writeEntries(path, node, isNew);
      break;
    case 'link':
      writeLink(path, node.target, isNew);
      break;
    case 'file':
      writeText(path, node.text ?? '', isNew);
      break;
    case 'device':
      writeNode(path, node);
  }
}

/** Not a node: its number is that of another device of this machine. */
function writeNode(path: string, { access: { uid, gid, mode } }: DeviceNode): void {
  // Only root can give a file away.
  const isRoot = process.geteuid?.() === 0;
  const there = lstatSync(bytesOf(path), { throwIfNoEntry: false });
  if (there !== undefined) {
    const isOwned = !isRoot || (there.uid === uid && there.gid === gid);
    if (isOwned && (there.mode & 0o7777) === mode && there.size === 0) return;
    rmSync(bytesOf(path));
  }
  const fd = openSync(bytesOf(path), newFile, 0o600);
  try {
    if (isRoot) fchownSync(fd, uid, gid);
    fchmodSync(fd, mode);
  } finally {
    closeSync(fd);
  }
}

function writeEntries(path: string, directory: Directory, isNew: boolean): void {
  const names = directory.names().filter(isFileName);
  if (!isNew) {
    const wanted = new Set(names);
    for (const name of readdirSync(bytesOf(path), { encoding: 'buffer' }).map((bytes) => decodeText(bytes))) {
      if (!wanted.has(name)) rmSync(bytesOf(`${path}/${name}`), { recursive: true });
    }
  }
  for (const name of names) {
    const node = directory.get(name);
    if (node) write(`${path}/${name}`, node);
  }
}

function writeLink(path: string, target: string, isNew: boolean): void {
  if (!isNew) {
    if (decodeText(readlinkSync(bytesOf(path), { encoding: 'buffer' })) === target) return;
    rmSync(bytesOf(path));
  }
  symlinkSync(bytesOf(target), bytesOf(path));
}

function writeText(path: string, text: string, isNew: boolean): void {
  if (!isNew && readFileSync(bytesOf(path), 'utf8') === text) return;
  const existing = constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_TRUNC;
  const fd = openSync(bytesOf(path), isNew ? newFile : existing, 0o644);
  try {
    writeSync(fd, encodeText(text));
  } finally {
    closeSync(fd);
  }
}

function kindOf(path: string): 'directory' | 'link' | 'file' | 'other' | undefined {
  const stat = lstatSync(bytesOf(path), { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  if (stat.isDirectory()) return 'directory';
  if (stat.isSymbolicLink()) return 'link';
  return stat.isFile() ? 'file' : 'other';
}

function bytesOf(path: string): Buffer {
  return Buffer.from(encodeText(path));
}
