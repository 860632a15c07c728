/**
 * The state file of a simulated machine.
 *
 * Readers take no lock: a new state is a new file that is renamed over the old one, so that whoever opens the path has
 * a whole state. Writers take turns with flock(2) on the file itself, which the system gives back whatever ends the
 * process; a lock file with a process id would have to be taken over from the dead, and two could do that at once.
 * Whoever has the lock and finds another file at the path has the lock of an old state, and begins anew.
 *
 * A process that makes one change after another adds the later ones to the file that it wrote (state-changes.ts): a
 * file that is renamed over another costs the file system a millisecond.
 */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { dirname } from 'node:path';
import { monotonicMs } from '../sys/clock.js';
import { Errno, strerror } from '../sys/errno.js';
import type * as fileCalls from '../sys/file.js';
import type * as libcCalls from '../sys/libc.js';
import { SimulationError } from './error.js';
import { copyState } from './machine.js';
import type { MachineStore } from './machine.js';
import { describeChange } from './state-changes.js';
import { bootedState, defaultMachine } from './state.js';
import type { SimState } from './state.js';
import { parseState } from './state-parser.js';

/** How long to wait for other processes that change the state, in milliseconds. */
const lockPatience = 30_000;
/** How long a first nap between two tries is at most; later ones grow to four times that. */
const shortNap = 1;
/** Writes that follow one another within so many milliseconds are only brought to the disk by the last of them. */
const syncInterval = 50;
/** The most that changes may take behind a state, in bytes; then the whole state is written anew. */
const maxChangesLength = 1 << 20;

/** What a lock needs of the C library, which is loaded only where something is changed. */
interface LockCalls {
  readonly file: typeof fileCalls;
  readonly libc: typeof libcCalls;
}

/** A machine that is kept in a file, and shared with whoever uses the same file. */
export class FileStore implements MachineStore {
  readonly path: string;
  #known: { readonly identity: FileIdentity; readonly state: SimState } | undefined;
  #calls: LockCalls | undefined;
  #lastSync = 0;
  #unsynced = false;
  /** How many bytes of changes this process has added to the file that it wrote; undefined where the file is another's. */
  #changesLength: number | undefined;

  constructor(path: string) {
    this.path = path;
  }

  /** @throws SimulationError where the file cannot be read or is damaged. */
  read(): SimState {
    const found = this.#guard(() => statSync(this.path, { bigint: true, throwIfNoEntry: false }));
    if (found === undefined) return bootedState(defaultMachine);
    if (this.#known !== undefined && isSame(this.#known.identity, found)) return this.#known.state;
    const fd = this.#guard(() => openFile(this.path, constants.O_RDONLY));
    try {
      return this.#load(fd);
    } finally {
      closeSync(fd);
    }
  }

  prepare(): void | Promise<void> {
    return this.#calls === undefined ? this.#loadCalls() : undefined;
  }

  /** @throws SimulationError where the file cannot be read, written or locked, or is damaged. */
  update<Result>(change: (state: SimState) => Result): Result {
    const fd = this.#lock();
    try {
      const before = this.#load(fd);
      const changed = copyState(before);
      const result = change(changed);
      const line = describeChange(before, changed);
      if (line !== undefined) this.#write(fd, changed, line);
      return result;
    } finally {
      closeSync(fd);
    }
  }

  /** Puts another state in the place of whatever is there, damaged or not. @throws SimulationError */
  overwrite(state: SimState): void {
    const fd = this.#lock();
    try {
      this.#replace(state);
    } finally {
      closeSync(fd);
    }
  }

  /** Makes one state of what was written, and brings it to the disk. */
  close(): void {
    if (this.#changesLength !== undefined && this.#changesLength > 0) {
      const fd = this.#lock();
      try {
        this.#replace(this.#load(fd));
      } finally {
        closeSync(fd);
      }
    }
    if (!this.#unsynced) return;
    this.#unsynced = false;
    this.#guard(() => {
      const fd = openFile(this.path, constants.O_RDONLY);
      try {
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
    });
  }

  async #loadCalls(): Promise<void> {
    const [file, libc] = await Promise.all([import('../sys/file.js'), import('../sys/libc.js')]);
    this.#calls = { file, libc };
  }

  #load(fd: number): SimState {
    const stats = fstatSync(fd, { bigint: true });
    if (this.#known !== undefined && isSame(this.#known.identity, stats)) return this.#known.state;
    this.#changesLength = undefined;
    const text = this.#guard(() => readFileSync(fd, 'utf8'));
    // An empty file is what mktemp(1) leaves.
    const state = text === '' ? bootedState(defaultMachine) : parseState(text, this.path);
    this.#known = { identity: stats, state };
    return state;
  }

  /** The locked file, made where there is none. */
  #lock(): number {
    const deadline = monotonicMs() + lockPatience;
    for (let nap = shortNap; ; nap = Math.min(nap * 2, shortNap * 4)) {
      const fd = this.#guard(() => openOrMake(this.path));
      if (this.#tryLock(fd)) {
        const current = statSync(this.path, { bigint: true, throwIfNoEntry: false });
        if (current !== undefined && isSame(current, fstatSync(fd, { bigint: true }))) return fd;
        closeSync(fd);
        continue;
      }
      closeSync(fd);
      if (monotonicMs() > deadline)
        throw this.#unusable(`another process has had its lock for ${lockPatience / 1000} s`);
      sleep(nap * Math.random());
    }
  }

  /** Whether the lock could be had at once. */
  #tryLock(fd: number): boolean {
    if (this.#calls === undefined) throw new Error('a simulated machine is changed that was not prepared');
    const { file, libc } = this.#calls;
    if (file.flock(fd, file.LOCK_EX | file.LOCK_NB) === 0) return true;
    const errno = libc.lastErrno();
    if (errno === Errno.EAGAIN || errno === Errno.EINTR) return false;
    closeSync(fd);
    throw this.#unusable(`it cannot be locked: ${strerror(errno)}`);
  }

  /** Writes a change, or the whole state with it. */
  #write(fd: number, state: SimState, change: string): void {
    const length = this.#changesLength;
    if (length === undefined || this.#known === undefined || length + change.length > maxChangesLength) {
      this.#replace(state);
      return;
    }
    const { identity } = this.#known;
    // Until it is all written the file is not to be added to.
    this.#changesLength = undefined;
    this.#guard(() => {
      writeAll(fd, change, Number(identity.size));
      this.#known = { identity: fstatSync(fd, { bigint: true }), state };
    });
    this.#changesLength = length + change.length;
    this.#unsynced = true;
  }

  /** Only whoever has the lock comes here: what lies at the temporary path is left from someone who was killed. */
  #replace(state: SimState): void {
    const temporary = `${this.path}.new`;
    const now = monotonicMs();
    this.#guard(() => {
      rmSync(temporary, { force: true });
      const fd = makeFile(temporary);
      try {
        writeAll(fd, `${JSON.stringify(state)}\n`);
        this.#unsynced = now - this.#lastSync < syncInterval;
        if (!this.#unsynced) fsyncSync(fd);
        if (!this.#unsynced) this.#lastSync = now;
        renameSync(temporary, this.path);
        this.#known = { identity: fstatSync(fd, { bigint: true }), state };
        this.#changesLength = 0;
      } finally {
        closeSync(fd);
      }
    });
  }

  /** Says of a failure which file it is about. */
  #guard<Result>(work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof Error && 'code' in error)) throw error;
      throw this.#unusable(error.code === 'ELOOP' ? 'it is a symbolic link' : error.message, error);
    }
  }

  #unusable(reason: string, cause?: unknown): SimulationError {
    const text = `The simulated machine's state file ${this.path} cannot be used: ${reason}. VDPA_SIM_STATE names another one.`;
    return new SimulationError(text, { cause });
  }
}

/** What tells one content of the path from another. */
type FileIdentity = Pick<BigIntStats, 'dev' | 'ino' | 'size' | 'mtimeNs' | 'ctimeNs'>;

function isSame(one: FileIdentity, other: FileIdentity): boolean {
  return (
    one.ino === other.ino &&
    one.dev === other.dev &&
    one.size === other.size &&
    one.mtimeNs === other.mtimeNs &&
    one.ctimeNs === other.ctimeNs
  );
}

/** Opens it neither through a symbolic link nor to wait for the other end of a pipe. */
function openFile(path: string, access: number): number {
  const fd = openSync(path, access | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw Object.assign(new Error('it is not a file'), { code: 'EINVAL' });
}

/** Opens it for reading and writing, though it is only read: some file systems lock nothing else. */
function openOrMake(path: string): number {
  if (!existsSync(path)) makeFirst(path);
  return openFile(path, constants.O_RDWR);
}

/** Makes the file where there is none, whole from its first moment on. */
function makeFirst(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}`;
  rmSync(temporary, { force: true });
  const fd = makeFile(temporary);
  try {
    writeAll(fd, `${JSON.stringify(bootedState(defaultMachine))}\n`);
    fsyncSync(fd);
    linkSync(temporary, path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    closeSync(fd);
    rmSync(temporary, { force: true });
  }
}

function makeFile(path: string): number {
  return openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
}

function writeAll(fd: number, text: string, position = 0): void {
  const bytes = Buffer.from(text, 'utf8');
  for (let done = 0; done < bytes.length;) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}

function sleep(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
