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
import { Errno } from '../../sys/errno.js';
import { SystemError } from '../../sys/error.js';
import { flock, LOCK_EX, LOCK_NB } from '../../sys/file.js';
import { checked } from '../../sys/libc.js';
import { lockHolder } from '../../sys/lock-holder.js';
import { VduseError } from '../error.js';
import { FlushRecord } from '../block/flush-record.js';
import { checkDeviceName, devicePath } from '../kernel/name.js';
import { RecordFile } from './record-file.js';
import { madeTapOf } from '../spec/instance-record.js';
import { removeTap } from '../net/tap.js';
import { runtimeBase, SERVERS_FOLDER } from './runtime-path.js';

const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** Files in the folder of a device. */
const LOCK = 'lock';
const SOCKET = 'socket';
const SUPERVISOR_SOCKET = 'supervisor';
const FLUSH_NOTE = 'flush-note';
const RECORD = 'instance';

/** A device has a server of ours already. */
export class AlreadyServedError extends VduseError {
  override readonly name = 'AlreadyServedError';
}

function runtimePath(): string {
  const path = runtimeBase();
  if (path !== undefined && path !== '') return path;
  throw new VduseError('XDG_RUNTIME_DIR is not set: a server of another user than root keeps its socket there');
}

/**
 * The folder of a device, held open. All paths below go through the descriptor, so that nobody can put another folder in
 * its place meanwhile; and they are short, as those of sockets must be.
 */
export class RuntimeFolder {
  readonly name: string;
  readonly #fd: number;
  readonly #parent: number;

  /** Opens it for whoever asks its server; undefined where there is none. @throws DeviceNameError, SystemError */
  static find(name: string): RuntimeFolder | undefined {
    checkDeviceName(name);
    const parent = openParent(false);
    if (parent === undefined) return undefined;
    const fd = enter(parent, name, false);
    if (fd !== undefined) return new RuntimeFolder(name, fd, parent);
    closeSync(parent);
    return undefined;
  }

  /**
   * Makes it for the server of a device, and holds it until {@link remove}.
   * @throws AlreadyServedError, DeviceNameError, SystemError
   */
  static claim(name: string): { readonly folder: RuntimeFolder; readonly release: () => void } {
    checkDeviceName(name);
    const parent = openParent(true);
    if (parent === undefined) throw new VduseError(`${[runtimePath(), ...SERVERS_FOLDER].join('/')} is gone`);
    for (;;) {
      const fd = enter(parent, name, true);
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
      // Its last server has just taken the folder away.
      closeSync(fd);
    }
  }

  /** Takes away what the servers of an instance that is no more have left behind. @throws SystemError */
  static clear(name: string): void {
    if (!RuntimeFolder.names().includes(name)) return;
    try {
      RuntimeFolder.claim(name).release();
    } catch (error) {
      if (!(error instanceof AlreadyServedError)) throw error;
    }
  }

  /** The process that serves a device or is about to: {@link holder} of its folder. @throws DeviceNameError, SystemError */
  static holderOf(name: string): number | undefined {
    const folder = RuntimeFolder.find(name);
    try {
      return folder?.holder();
    } finally {
      folder?.close();
    }
  }

  /** The names of all devices that have a folder. */
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

  /** Where the server's socket is. */
  get socketPath(): string {
    return this.#path(SOCKET);
  }

  /** Where the socket of the server's supervisor is. */
  get supervisorPath(): string {
    return this.#path(SUPERVISOR_SOCKET);
  }

  /** Takes the lock that only a living server holds. @returns undefined where the folder is being taken away */
  #lock(): number | undefined {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
    let fd: number;
    try {
      fd = openSync(this.#path(LOCK), flags, 0o600);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    try {
      checked('lock', flock(fd, LOCK_EX | LOCK_NB));
    } catch (error) {
      closeSync(fd);
      if (!(error instanceof SystemError) || error.errno !== Errno.EAGAIN) throw error;
      throw new AlreadyServedError(`${this.name} has a server already; "vdpa vduse show ${this.name}" tells which`);
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

  /** The process that holds the folder: a server or a supervisor, also one that does not listen yet, or not any more. */
  holder(): number | undefined {
    return lockHolder(this.#path(LOCK));
  }

  /**
   * What one server of the device leaves for the next; it stays for as long as the instance does.
   * @param forget the instance is a new one
   */
  openFlushRecord(forget: boolean): FlushRecord {
    return FlushRecord.open(this.#path(FLUSH_NOTE), forget);
  }

  /**
   * What the instance was made of; it stays for as long as the instance does.
   * @param force the next server may serve it from something else
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
    // An instance that is left on the bus is for another server, which has to know of it.
    try {
      if (!existsSync(devicePath(this.name))) this.forgetInstance();
    } finally {
      remove(this.#path(LOCK));
      closeSync(lock);
      try {
        rmdirSync(`/proc/self/fd/${this.#parent}/${this.name}`);
      } catch {
        // Another server has begun to use it, or will need what is kept there.
      }
      this.close();
    }
  }

  /** Removes what was kept for its next server, and what servers have made for it on this machine. */
  forgetInstance(): void {
    const makings = this.record(false).read();
    for (const file of [FLUSH_NOTE, RECORD]) remove(this.#path(file));
    const tap = madeTapOf(makings);
    if (tap && makings) removeTap(tap, makings.queues / 2);
  }

  /** Closes it; what is in it stays. */
  close(): void {
    closeSync(this.#fd);
    closeSync(this.#parent);
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** The folder of all devices. @returns undefined where it is not there and not to be made */
function openParent(make: boolean): number | undefined {
  let fd = openSync(runtimePath(), constants.O_RDONLY | constants.O_DIRECTORY);
  for (const name of SERVERS_FOLDER) {
    const next = enter(fd, name, make);
    closeSync(fd);
    if (next === undefined) return undefined;
    fd = next;
  }
  return fd;
}

/**
 * Opens a folder in an open one, and sees that it is ours alone.
 * @returns undefined where it is not there
 */
function enter(parent: number, name: string, make: boolean): number | undefined {
  const path = `/proc/self/fd/${parent}/${name}`;
  if (make) {
    try {
      mkdirSync(path, { mode: 0o700 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  let fd: number;
  try {
    fd = openSync(path, FOLDER);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const { uid, mode } = fstatSync(fd);
  if (uid === process.geteuid?.() && (mode & 0o022) === 0) return fd;
  closeSync(fd);
  throw new VduseError(
    `${runtimePath()}/…/${name} is not this user's alone: it belongs to user ${uid}, mode ${mode.toString(8)}`,
  );
}
