/** The files of a machine in /sys, /proc and /dev: those of this machine, or of a simulated one. */
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  statSync,
  writeSync,
} from 'node:fs';
import type { Stats } from 'node:fs';
import { basename, relative, resolve } from 'node:path';
import { decodeText, encodeText } from '../netlink/text-encoding.js';
import { majorOf, minorOf } from '../sys/device-number.js';
import { Errno, nodeErrno } from '../sys/errno.js';
import { SystemError } from '../sys/error.js';

/** The type and device number of a device node. */
export interface DeviceNumber {
  readonly kind: 'character' | 'block';
  readonly major: number;
  readonly minor: number;
}

/** Owner, group and permission bits of a file. */
export interface FileAccess {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/**
 * Reads files that may appear and disappear in the meantime. Paths begin with `/`. Names are text from
 * {@link decodeText}, so that every possible device name can be converted back.
 */
export interface MachineFiles {
  /** A file's text without the trailing line break; undefined if it does not exist. @throws SystemError */
  text(path: string): string | undefined;

  /** The names in a directory, in order; none if it does not exist. @throws SystemError */
  list(path: string): string[];

  /** The target of a symbolic link, unresolved; undefined if there is none. @throws SystemError */
  link(path: string): string | undefined;

  /**
   * The last name of the target of a symbolic link, which identifies driver and subsystem in sysfs. @throws SystemError
   */
  linkName(path: string): string | undefined;

  /** The path without symbolic links; undefined for a dangling link. @throws SystemError */
  real(path: string): string | undefined;

  /** Whether the name exists, even as a dangling link. @throws SystemError */
  exists(path: string): boolean;

  /** The device of a device node; undefined if there is no device node. @throws SystemError */
  deviceNumber(path: string): DeviceNumber | undefined;

  /** Owner, group and permission bits of a file; undefined if it does not exist. @throws SystemError */
  access(path: string): FileAccess | undefined;

  /**
   * Sets owner, group and permissions of a device node without opening it, which would keep others from opening it.
   * @param device the expected device
   * @throws SystemError ENODEV if the node is of another device
   */
  setAccess(operation: string, path: string, device: DeviceNumber, access: Partial<FileAccess>): void;

  /** Writes to an existing file in one call, as sysfs requires. @throws SystemError */
  write(operation: string, path: string, text: string): void;

  /** Opens a device and closes it again: some devices report in this way that they are in use. @throws SystemError */
  touch(operation: string, path: string, flags: number): void;
}

/** The files of this machine. */
export class LocalFiles implements MachineFiles {
  readonly #root: string;

  /** @param root the directory that contains `/sys`, `/proc` and `/dev` */
  constructor(root = '/') {
    this.#root = resolve(root);
  }

  text(path: string): string | undefined {
    const bytes = this.#try(`read ${path}`, () => readFileSync(this.#path(path)));
    return bytes === undefined ? undefined : decodeText(bytes).replace(/\n$/, '');
  }

  list(path: string): string[] {
    const names = this.#try(`list ${path}`, () => readdirSync(this.#path(path), { encoding: 'buffer' })) ?? [];
    return names.map((name) => decodeText(name)).sort();
  }

  link(path: string): string | undefined {
    const target = this.#try(`read the link ${path}`, () => readlinkSync(this.#path(path), { encoding: 'buffer' }));
    return target === undefined ? undefined : decodeText(target);
  }

  linkName(path: string): string | undefined {
    const target = this.link(path);
    return target === undefined ? undefined : basename(target);
  }

  real(path: string): string | undefined {
    const real = this.#try(`follow ${path}`, () => realpathSync.native(this.#path(path), { encoding: 'buffer' }));
    return real === undefined ? undefined : `/${relative(this.#root, decodeText(real))}`;
  }

  exists(path: string): boolean {
    return this.#try(`examine ${path}`, () => lstatSync(this.#path(path))) !== undefined;
  }

  deviceNumber(path: string): DeviceNumber | undefined {
    const stat = this.#try(`examine ${path}`, () => statSync(this.#path(path)));
    return stat === undefined ? undefined : numberOf(stat);
  }

  access(path: string): FileAccess | undefined {
    const stat = this.#try(`examine ${path}`, () => statSync(this.#path(path)));
    return stat && { uid: stat.uid, gid: stat.gid, mode: stat.mode & 0o777 };
  }

  setAccess(operation: string, path: string, device: DeviceNumber, access: Partial<FileAccess>): void {
    guard(operation, () => {
      const fd = openSync(this.#path(path), O_PATH | constants.O_NOFOLLOW);
      try {
        const found = numberOf(fstatSync(fd));
        if (found?.kind !== device.kind || found.major !== device.major || found.minor !== device.minor) {
          throw new SystemError({ operation, errno: Errno.ENODEV, hint: `${path} was replaced by another device` });
        }
        // Such a descriptor does not support fchown(2) and fchmod(2), but leads to the node.
        const node = `/proc/self/fd/${fd}`;
        const { uid, gid, mode } = access;
        if (uid !== undefined || gid !== undefined) chownSync(node, uid ?? UNCHANGED, gid ?? UNCHANGED);
        if (mode !== undefined) chmodSync(node, mode);
      } finally {
        closeSync(fd);
      }
    });
  }

  write(operation: string, path: string, text: string): void {
    guard(operation, () => {
      const fd = openSync(this.#path(path), constants.O_WRONLY | constants.O_NOFOLLOW);
      try {
        writeSync(fd, encodeText(text));
      } finally {
        closeSync(fd);
      }
    });
  }

  touch(operation: string, path: string, flags: number): void {
    guard(operation, () => {
      closeSync(openSync(this.#path(path), flags));
    });
  }

  #path(path: string): Buffer {
    return Buffer.from(encodeText(resolve(this.#root, `.${path}`)));
  }

  #try<Result>(operation: string, read: () => Result): Result | undefined {
    try {
      return guard(operation, read);
    } catch (error) {
      if (error instanceof SystemError && isAbsence.has(error.errno)) return undefined;
      throw error;
    }
  }
}

/** open(2): a reference to a name in the file system only. Node.js has no constant for it. */
const O_PATH = 0o10000000;

/** Leaves an owner or group unchanged: chown(2)'s -1. */
const UNCHANGED = 0xffff_ffff;

/** The device of a node; undefined if it is not a device node. */
function numberOf(stat: Stats): DeviceNumber | undefined {
  if (!(stat.isCharacterDevice() || stat.isBlockDevice())) return undefined;
  const kind = stat.isBlockDevice() ? 'block' : 'character';
  return { kind, major: majorOf(stat.rdev), minor: minorOf(stat.rdev) };
}

/**
 * Errors of reading something that does not exist, or was removed: devices and processes may end meanwhile. EINVAL is
 * the error of readlink(2) for other files than links.
 */
const isAbsence: ReadonlySet<number> = new Set([
  Errno.ENOENT,
  Errno.ENOTDIR,
  Errno.ENODEV,
  Errno.ENXIO,
  Errno.ESRCH,
  Errno.EINVAL,
]);

/** Runs a file operation and converts its errors to the common type. */
function guard<Result>(operation: string, act: () => Result): Result {
  try {
    return act();
  } catch (cause) {
    if (cause instanceof SystemError) throw cause;
    const errno = nodeErrno(cause);
    if (errno === undefined) throw cause;
    throw new SystemError({ operation, errno, cause });
  }
}
