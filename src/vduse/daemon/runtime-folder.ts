import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmdirSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { Errno, nodeErrno } from '../../sys/errno.js';
import { SystemError } from '../../sys/error.js';
import { flock, LOCK_EX, LOCK_NB } from '../../sys/file.js';
import { checked } from '../../sys/libc.js';
import { lockHolder } from '../../sys/lock-holder.js';
import { VduseError } from '../error.js';
import { FlushRecord } from '../block/flush-record.js';
import { InflightFile } from '../engine/inflight-file.js';
import { checkDeviceName, devicePath } from '../kernel/name.js';
import { RecordFile } from './record-file.js';
import { madeTapOf } from '../spec/instance-record.js';
import { removeTap } from '../net/tap.js';
import { runtimeBase, SERVERS_FOLDER } from './runtime-path.js';

const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** Files in the directory of a device. */
const LOCK = 'lock';
const SOCKET = 'socket';
const SUPERVISOR_SOCKET = 'supervisor';
const FLUSH_RECORD = 'flush-note';
const RECORD = 'instance';
const INFLIGHT = 'inflight';

/** The device already has a server of vdpa. */
class AlreadyServedError extends VduseError {
  override readonly name = 'AlreadyServedError';
}

function runtimePath(): string {
  const path = runtimeBase();
  if (path !== undefined && path !== '') return path;
  throw new VduseError('XDG_RUNTIME_DIR is not set; servers of users other than root need it for their sockets');
}

/**
 * The directory of a device, held open. All paths below go through the descriptor, so that the directory cannot be
 * replaced in the meantime; and they are short, as paths of sockets must be.
 */
export class RuntimeFolder {
  readonly name: string;
  readonly #fd: number;
  readonly #parent: number;

  /**
   * Opens it, to query the server or for a server that a supervisor has started; undefined if it does not exist.
   * @throws DeviceNameError, SystemError
   */
  static find(name: string): RuntimeFolder | undefined {
    checkDeviceName(name);
    const parent = openParent(false);
    if (parent === undefined) return undefined;
    const fd = enterOrClose(parent, name, false);
    if (fd !== undefined) return new RuntimeFolder(name, fd, parent);
    closeSync(parent);
    return undefined;
  }

  /**
   * Creates it for the server of a device, and holds it until `release` is called, which also removes it unless another
   * server needs its files.
   * @throws AlreadyServedError, DeviceNameError, SystemError
   */
  static claim(name: string): { readonly folder: RuntimeFolder; readonly release: () => void } {
    checkDeviceName(name);
    const parent = openParent(true);
    if (parent === undefined) throw new VduseError(`${[runtimePath(), ...SERVERS_FOLDER].join('/')} was deleted`);
    for (;;) {
      const fd = enterOrClose(parent, name, true);
      if (fd === undefined) continue;
      const folder = new RuntimeFolder(name, fd, parent);
      try {
        const lock = folder.#lock();
        if (lock !== undefined)
          return {
            folder,
            release: () => {
              folder.#remove(lock);
            },
          };
      } catch (error) {
        folder.close();
        throw error;
      }
      // Its last server has just removed the directory.
      closeSync(fd);
    }
  }

  /** Removes what the servers of an instance that no longer exists have left behind. @throws SystemError */
  static clear(name: string): void {
    if (!RuntimeFolder.names().includes(name)) return;
    try {
      RuntimeFolder.claim(name).release();
    } catch (error) {
      if (!(error instanceof AlreadyServedError)) throw error;
    }
  }

  /**
   * The process that serves a device or is about to: {@link lockHolder} of its directory. @throws DeviceNameError,
   * SystemError
   */
  static lockHolderOf(name: string): number | undefined {
    const folder = RuntimeFolder.find(name);
    try {
      return folder?.lockHolder();
    } finally {
      folder?.close();
    }
  }

  /** The names of all devices that have a directory. */
  static names(): string[] {
    const parent = openParent(false);
    if (parent === undefined) return [];
    try {
      return readdirSync(`/proc/self/fd/${parent}`).sort();
    } finally {
      closeSync(parent);
    }
  }

  private constructor(name: string, fd: number, parent: number) {
    this.name = name;
    this.#fd = fd;
    this.#parent = parent;
  }

  #path(file: string): string {
    return `/proc/self/fd/${this.#fd}/${file}`;
  }

  /** Path of the server's socket. */
  get socketPath(): string {
    return this.#path(SOCKET);
  }

  /** Path of the socket of the server's supervisor. */
  get supervisorPath(): string {
    return this.#path(SUPERVISOR_SOCKET);
  }

  /** Acquires the lock that only a living server holds. @returns undefined if the directory is being removed */
  #lock(): number | undefined {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
    let fd: number;
    try {
      fd = openSync(this.#path(LOCK), flags, 0o600);
    } catch (error) {
      if (nodeErrno(error) === Errno.ENOENT) return undefined;
      throw error;
    }
    try {
      checked('lock', flock(fd, LOCK_EX | LOCK_NB));
    } catch (error) {
      closeSync(fd);
      if (!(error instanceof SystemError) || error.errno !== Errno.EAGAIN) throw error;
      throw new AlreadyServedError(`${this.name} already has a server; see "vdpa vduse show ${this.name}"`);
    }
    const now = statSync(this.#path(LOCK), { throwIfNoEntry: false });
    if (now?.ino !== fstatSync(fd).ino) {
      closeSync(fd);
      return undefined;
    }
    this.removeSocket();
    remove(this.supervisorPath);
    return fd;
  }

  /**
   * The process that holds the directory: a server or a supervisor, also one that does not listen yet, or no longer
   * listens.
   */
  lockHolder(): number | undefined {
    return lockHolder(this.#path(LOCK));
  }

  /**
   * The flush record, which one server of the device leaves for the next; it exists as long as the instance does.
   * @param forget the instance is a new one
   */
  openFlushRecord(forget: boolean): FlushRecord {
    return FlushRecord.open(this.#path(FLUSH_RECORD), forget);
  }

  /**
   * The log of requests in flight, which one server of the device leaves for the next; it exists as long as the
   * instance does.
   */
  inflight(): InflightFile {
    return new InflightFile(this.#path(INFLIGHT));
  }

  /**
   * The record of what the instance was created with; it exists as long as the instance does.
   * @param force the next server may serve it with other properties
   */
  record(force: boolean): RecordFile {
    return new RecordFile(this.name, this.#path(RECORD), force);
  }

  /** Removes the socket that a killed server has left behind. */
  removeSocket(): void {
    remove(this.socketPath);
  }

  #remove(lock: number): void {
    remove(this.socketPath);
    remove(this.supervisorPath);
    // An instance that stays on the bus is kept for another server, which needs this directory.
    try {
      if (!existsSync(devicePath(this.name))) this.deleteInstanceFiles();
    } finally {
      remove(this.#path(LOCK));
      closeSync(lock);
      try {
        rmdirSync(`/proc/self/fd/${this.#parent}/${this.name}`);
      } catch {
        // Another server has started to use it, or will need its files.
      }
      this.close();
    }
  }

  /** Removes the records for its next server, and what servers have created for it on this machine. */
  deleteInstanceFiles(): void {
    // A damaged record names no tap that could be removed.
    const recorded = this.record(true).read();
    for (const file of [FLUSH_RECORD, INFLIGHT, RECORD]) remove(this.#path(file));
    const tap = madeTapOf(recorded);
    if (tap && recorded) removeTap(tap, recorded.queues / 2);
  }

  /** Closes it; its files remain. */
  close(): void {
    closeSync(this.#fd);
    closeSync(this.#parent);
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (nodeErrno(error) !== Errno.ENOENT) throw error;
  }
}

/** The directory of all devices. @returns undefined if it does not exist and is not to be created */
function openParent(create: boolean): number | undefined {
  let fd = openSync(runtimePath(), constants.O_RDONLY | constants.O_DIRECTORY);
  for (const name of SERVERS_FOLDER) {
    let next: number | undefined;
    try {
      next = enter(fd, name, create);
    } finally {
      closeSync(fd);
    }
    if (next === undefined) return undefined;
    fd = next;
  }
  return fd;
}

/** The same as {@link enter}; on failure, the parent is closed. */
function enterOrClose(parent: number, name: string, create: boolean): number | undefined {
  try {
    return enter(parent, name, create);
  } catch (error) {
    closeSync(parent);
    throw error;
  }
}

/**
 * Opens a directory in an open one, and checks that only this user can access it.
 * @returns undefined if it does not exist
 */
function enter(parent: number, name: string, create: boolean): number | undefined {
  const path = `/proc/self/fd/${parent}/${name}`;
  if (create) {
    try {
      mkdirSync(path, { mode: 0o700 });
    } catch (error) {
      if (nodeErrno(error) !== Errno.EEXIST) throw error;
    }
  }
  let fd: number;
  try {
    fd = openSync(path, FOLDER);
  } catch (error) {
    if (nodeErrno(error) === Errno.ENOENT) return undefined;
    throw error;
  }
  const { uid, mode } = fstatSync(fd);
  if (uid === process.geteuid?.() && (mode & 0o022) === 0) return fd;
  closeSync(fd);
  throw new VduseError(`${runtimePath()}/…/${name} is not private: owner ${uid}, mode ${mode.toString(8)}`);
}
