/**
 * The state file of a simulated machine.
 *
 * Readers take no lock: a new state is a new file that is renamed over the old one, so that every reader has a complete
 * state. Writers take a lock (lock.ts).
 *
 * A process with several changes appends the later ones to the file that it wrote (changes.ts): a rename over another
 * file takes the file system a millisecond.
 */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { monotonicMs } from '../../sys/clock.js';
import { SimulationError } from '../error.js';
import { describeChange } from './changes.js';
import { LockError, StateLock, defaultTimeoutMs, isSame, type FileIdentity } from './lock.js';
import { bootState } from './model.js';
import type { SimState } from './model.js';
import { parseState } from './parser.js';
import { defaultMachine } from './default-machine.js';
import { draftOf, stateOf, type MachineDraft, type MachineStore } from './store.js';
import { appendUevents, ueventLogPath } from './uevent-log.js';

/** Of writes within this time, in milliseconds, only the last one syncs the file. */
const syncInterval = 50;
/** Maximum size of the changes after a state, in bytes; beyond it the whole state is written again. */
const maxChangesLength = 1 << 20;

/** A machine in a file, shared by all processes that use the file. */
export class FileStore implements MachineStore {
  readonly path: string;
  readonly now = Date.now;
  #known: { readonly identity: FileIdentity; readonly state: SimState } | undefined;
  readonly #lock: StateLock;
  #lastSync = 0;
  #unsynced = false;
  /** The bytes of changes that this process has appended to its file; undefined if another process wrote the file. */
  #changesLength: number | undefined;
  #hasChanged = false;

  /** @param timeoutMs how long to wait while another process holds the lock without progress, in milliseconds */
  constructor(path: string, { timeoutMs = defaultTimeoutMs }: { readonly timeoutMs?: number } = {}) {
    this.path = path;
    this.#lock = new StateLock(path, timeoutMs);
  }

  /** @throws SimulationError if the file cannot be read or is damaged. */
  read(): SimState {
    const found = this.#guard(() => statSync(this.path, { bigint: true, throwIfNoEntry: false }));
    if (found === undefined) return bootState(defaultMachine);
    if (this.#known !== undefined && isSame(this.#known.identity, found)) return this.#known.state;
    const fd = this.#guard(() => openFile(this.path, constants.O_RDONLY));
    try {
      return this.#load(fd);
    } finally {
      closeSync(fd);
    }
  }

  prepare(): void | Promise<void> {
    return this.#lock.isPrepared ? undefined : this.#lock.prepare();
  }

  /** @throws SimulationError if the file cannot be read, written or locked, or is damaged. */
  update<Result>(change: (state: MachineDraft) => Result): Result {
    const fd = this.#take();
    try {
      const before = this.#load(fd);
      const draft = draftOf(before, this.now());
      const result = change(draft);
      const { uevents } = draft;
      const changed = stateOf(draft);
      const line = describeChange(before, changed);
      if (line !== undefined) this.#write(fd, changed, line);
      this.#hasChanged ||= line !== undefined;
      // Who reads an event finds the state after it.
      if (uevents.length > 0) {
        this.#guard(() => {
          appendUevents(ueventLogPath(this.path), uevents);
        });
      }
      return result;
    } finally {
      closeSync(fd);
    }
  }

  /** Replaces the state, even a damaged one. @throws SimulationError */
  overwrite(state: SimState): void {
    const fd = this.#take();
    try {
      this.#replace(state);
      this.#hasChanged = true;
      this.#guard(() => {
        rmSync(ueventLogPath(this.path), { force: true });
      });
    } finally {
      closeSync(fd);
    }
  }

  /** Whether this process has changed the machine. */
  get hasChanged(): boolean {
    return this.#hasChanged;
  }

  /**
   * Calls a function with the state, which no process changes in the meantime. Requires {@link prepare}.
   * @throws SimulationError if the file cannot be read or locked, or is damaged
   */
  hold(work: (state: SimState) => void): void {
    const fd = this.#take();
    try {
      work(this.#load(fd));
    } finally {
      closeSync(fd);
    }
  }

  /** Writes the whole state without separate changes, and syncs it. */
  close(): void {
    if (this.#changesLength !== undefined && this.#changesLength > 0) {
      const fd = this.#take();
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

  #load(fd: number): SimState {
    const stats = fstatSync(fd, { bigint: true });
    if (this.#known !== undefined && isSame(this.#known.identity, stats)) return this.#known.state;
    this.#changesLength = undefined;
    const text = this.#guard(() => readFileSync(fd, 'utf8'));
    // mktemp(1) creates an empty file.
    const state = text === '' ? bootState(defaultMachine) : parseState(text, this.path);
    this.#known = { identity: stats, state };
    return state;
  }

  /** The locked file, created if necessary. */
  #take(): number {
    return this.#guard(() => this.#lock.take(() => openOrMake(this.path)));
  }

  /** Writes a change, or the whole state. */
  #write(fd: number, state: SimState, change: string): void {
    const length = this.#changesLength;
    if (length === undefined || this.#known === undefined || length + change.length > maxChangesLength) {
      this.#replace(state);
      return;
    }
    const { identity } = this.#known;
    // The file must not be appended to until everything is written.
    this.#changesLength = undefined;
    this.#guard(() => {
      writeAll(fd, change, Number(identity.size));
      this.#known = { identity: fstatSync(fd, { bigint: true }), state };
    });
    this.#changesLength = length + change.length;
    this.#unsynced = true;
  }

  /** Runs with the lock held: an existing temporary file was left by a process that was killed. */
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

  /** Adds the name of the file to an error. */
  #guard<Result>(work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      if (error instanceof LockError) throw this.#unusable(error.message, error);
      if (!(error instanceof Error && 'code' in error)) throw error;
      throw this.#unusable(error.code === 'ELOOP' ? 'it is a symbolic link' : error.message, error);
    }
  }

  #unusable(reason: string, cause?: unknown): SimulationError {
    const text = `The simulated machine's state file ${this.path} is not usable: ${reason}. Set VDPA_SIM_STATE to use another file.`;
    return new SimulationError(text, { cause });
  }
}

/** Does not follow symbolic links, and does not block on a pipe. */
function openFile(path: string, access: number): number {
  const fd = openSync(path, access | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw Object.assign(new Error('it is not a regular file'), { code: 'EINVAL' });
}

/** Opens it for reading and writing, because some file systems lock only such files. */
function openOrMake(path: string): number {
  if (!existsSync(path)) makeFirst(path);
  return openFile(path, constants.O_RDWR);
}

/**
 * Creates the file atomically. Runs only in the process that is next in turn, so no other file is replaced. Not with a
 * hard link, because some containers do not allow them.
 */
function makeFirst(path: string): void {
  const temporary = `${path}.${process.pid}`;
  rmSync(temporary, { force: true });
  const fd = makeFile(temporary);
  try {
    writeAll(fd, `${JSON.stringify(bootState(defaultMachine))}\n`);
    fsyncSync(fd);
    renameSync(temporary, path);
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
