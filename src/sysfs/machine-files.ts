/** The machine's own files: /sys, /proc and /dev, below a root folder that a test may put elsewhere. */
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
import { decodeText, encodeText } from '../netlink/text.js';
import { majorOf, minorOf } from '../sys/device-number.js';
import { Errno } from '../sys/errno.js';
import { SystemError } from '../sys/error.js';

/** What a device node is and which device it stands for. */
export interface DeviceNumber {
  readonly kind: 'character' | 'block';
  readonly major: number;
  readonly minor: number;
}

/**
 * Reads what may come and go while it is read. Paths begin with `/` and are below the root. Names are text as
 * {@link decodeText} makes it, so that any name a device can have finds its way back.
 */
export class MachineFiles {
  readonly #root: string;

  /** @param root where `/sys`, `/proc` and `/dev` are looked for */
  constructor(root = '/') {
    this.#root = resolve(root);
  }

  /** A file's text without the line break at its end; undefined where it is not there. @throws SystemError */
  text(path: string): string | undefined {
    const bytes = this.#try(`read ${path}`, () => readFileSync(this.#path(path)));
    return bytes === undefined ? undefined : decodeText(bytes).replace(/\n$/, '');
  }

  /** The names in a folder, in order; none where it is not there. @throws SystemError */
  list(path: string): string[] {
    const names = this.#try(`list ${path}`, () => readdirSync(this.#path(path), { encoding: 'buffer' })) ?? [];
    return names.map((name) => decodeText(name)).sort();
  }

  /** Where a symbolic link points, as it is written; undefined where there is none. @throws SystemError */
  link(path: string): string | undefined {
    const target = this.#try(`read the link ${path}`, () => readlinkSync(this.#path(path), { encoding: 'buffer' }));
    return target === undefined ? undefined : decodeText(target);
  }

  /** The last name of what a symbolic link points to: how sysfs tells driver and subsystem. @throws SystemError */
  linkName(path: string): string | undefined {
    const target = this.link(path);
    return target === undefined ? undefined : basename(target);
  }

  /** The path without symbolic links, below the root again; undefined where it leads nowhere. @throws SystemError */
  real(path: string): string | undefined {
    const real = this.#try(`follow ${path}`, () => realpathSync.native(this.#path(path), { encoding: 'buffer' }));
    return real === undefined ? undefined : `/${relative(this.#root, decodeText(real))}`;
  }

  /** Whether there is something of that name, were it a link to nowhere. @throws SystemError */
  exists(path: string): boolean {
    return this.#try(`look at ${path}`, () => lstatSync(this.#path(path))) !== undefined;
  }

  /** Which device a device node stands for; undefined where there is no device node. @throws SystemError */
  deviceNumber(path: string): DeviceNumber | undefined {
    const stat = this.#try(`look at ${path}`, () => statSync(this.#path(path)));
    return stat === undefined ? undefined : numberOf(stat);
  }

  /** Owner, group and permission bits of a file; undefined where it is not there. @throws SystemError */
  access(path: string): { readonly uid: number; readonly gid: number; readonly mode: number } | undefined {
    const stat = this.#try(`look at ${path}`, () => statSync(this.#path(path)));
    return stat && { uid: stat.uid, gid: stat.gid, mode: stat.mode & 0o777 };
  }

  /**
   * Sets owner, group and permissions of a device node, which is not opened: that would let nobody else in.
   * @param device what has to be there under this name
   * @throws SystemError ENODEV where it is something else
   */
  setAccess(
    operation: string,
    path: string,
    device: DeviceNumber,
    access: { readonly uid?: number; readonly gid?: number; readonly mode?: number },
  ): void {
    guard(operation, () => {
      const fd = openSync(this.#path(path), O_PATH | constants.O_NOFOLLOW);
      try {
        const found = numberOf(fstatSync(fd));
        if (found?.kind !== device.kind || found.major !== device.major || found.minor !== device.minor) {
          throw new SystemError({ operation, errno: Errno.ENODEV, hint: `${path} is another device now` });
        }
        // Such a descriptor takes neither fchown(2) nor fchmod(2), but leads to the node.
        const node = `/proc/self/fd/${fd}`;
        const { uid, gid, mode } = access;
        if (uid !== undefined || gid !== undefined) chownSync(node, uid ?? UNCHANGED, gid ?? UNCHANGED);
        if (mode !== undefined) chmodSync(node, mode);
      } finally {
        closeSync(fd);
      }
    });
  }

  /** Writes to a file that is there already, in one call, as sysfs wants it. @throws SystemError */
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

  /** Opens a device and closes it again: how some devices say that they are taken. @throws SystemError */
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

/** open(2): a name in the file system and no more. Node.js has no name for it. */
const O_PATH = 0o10000000;

/** What leaves an owner or group as it is: chown(2)'s -1. */
const UNCHANGED = 0xffff_ffff;

/** Which device a node stands for; undefined where it is no device node. */
function numberOf(stat: Stats): DeviceNumber | undefined {
  if (!(stat.isCharacterDevice() || stat.isBlockDevice())) return undefined;
  const kind = stat.isBlockDevice() ? 'block' : 'character';
  return { kind, major: majorOf(stat.rdev), minor: minorOf(stat.rdev) };
}

/**
 * What reading says of something that is not there, or has gone: devices and processes end while they are looked at.
 * EINVAL is readlink(2)'s word for what is no link.
 */
const isAbsence: ReadonlySet<number> = new Set([
  Errno.ENOENT,
  Errno.ENOTDIR,
  Errno.ENODEV,
  Errno.ENXIO,
  Errno.ESRCH,
  Errno.EINVAL,
]);

/** Does something with files and gives their errors the shape of all others. */
function guard<Result>(operation: string, act: () => Result): Result {
  try {
    return act();
  } catch (cause) {
    if (cause instanceof SystemError) throw cause;
    if (!(cause instanceof Error && 'errno' in cause && typeof cause.errno === 'number')) throw cause;
    throw new SystemError({ operation, errno: -cause.errno, cause });
  }
}
