/**
 * Turns at a state file. Two locks of flock(2), which the system gives back whatever ends a process: that of the state file
 * itself, for whoever changes it, and that of a file beside it, for whoever is next. Only the next one tries for the state
 * file, so that nobody who comes later, or comes again at once, is before it; and it alone makes the file where there is
 * none.
 *
 * A change puts a new file at the path. Whoever has the lock and finds another file there has the lock of an old state, and
 * begins anew.
 */
import { closeSync, constants, fstatSync, mkdirSync, openSync, statSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { dirname } from 'node:path';
import { monotonicMs } from '../../sys/clock.js';
import { Errno, strerror } from '../../sys/errno.js';
import type * as fileCalls from '../../sys/file.js';
import type * as libcCalls from '../../sys/libc.js';
import { lockHolder } from '../../sys/lock-holder.js';

/** What a lock needs of the C library, which is loaded only where something is changed. */
interface LockCalls {
  readonly file: typeof fileCalls;
  readonly libc: typeof libcCalls;
}

/** How long to wait where nobody changes anything, in milliseconds. */
export const defaultPatience = 30_000;
/** How long whoever is next naps between two tries, in milliseconds: a change takes about as long. */
const nextNap = 1;
/** The same for those who are not, at first; the longer they have waited, the more often they look. */
const longestNap = 16;
const shortestNap = 4;
/** After so many milliseconds naps are shortest. */
const agingTime = 3000;
/** How often it is looked whether others get on, in milliseconds. */
const progressInterval = 250;

/** The lock was not to be had. */
export class LockError extends Error {
  override readonly name = 'LockError';
}

/** The lock of one state file. */
export class StateLock {
  readonly #path: string;
  readonly #patience: number;
  #calls: LockCalls | undefined;

  constructor(path: string, patience: number) {
    this.#path = path;
    this.#patience = patience;
  }

  get isPrepared(): boolean {
    return this.#calls !== undefined;
  }

  /** Loads what locks. */
  async prepare(): Promise<void> {
    const [file, libc] = await Promise.all([import('../../sys/file.js'), import('../../sys/libc.js')]);
    this.#calls = { file, libc };
  }

  /**
   * Waits for the lock.
   * @param open opens the state file, made where there is none
   * @returns its descriptor; to close it gives the lock back
   * @throws LockError; what `open` throws, and errors of node:fs
   */
  take(open: () => number): number {
    mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
    const turn = openLockFile(`${this.#path}.lock`);
    try {
      this.#wait(turn, (waited) => Math.max(shortestNap, longestNap - (waited / agingTime) * longestNap));
      for (;;) {
        const fd = open();
        try {
          this.#wait(fd, () => nextNap);
          if (isSame(identify(this.#path), fstatSync(fd, { bigint: true }))) return fd;
        } catch (error) {
          closeSync(fd);
          throw error;
        }
        closeSync(fd);
      }
    } finally {
      closeSync(turn);
    }
  }

  /** @param napTime how long to nap after so many milliseconds */
  #wait(fd: number, napTime: (waited: number) => number): void {
    const begun = monotonicMs();
    let seen: FileIdentity | undefined;
    let lastChange = begun;
    let nextLook = begun;
    while (!this.#tryLock(fd)) {
      const now = monotonicMs();
      if (now >= nextLook) {
        nextLook = now + progressInterval;
        const current = identify(this.#path);
        if (!isSame(current, seen)) lastChange = now;
        seen = current;
      }
      if (now - lastChange > this.#patience) throw new LockError(this.#complaint());
      sleep(napTime(now - begun) * (0.5 + Math.random() / 2));
    }
  }

  #complaint(): string {
    const holder = holderOf(this.#path) ?? holderOf(`${this.#path}.lock`);
    const who = holder === undefined ? 'another process' : `process ${holder}`;
    return `locked by ${who} without progress for ${this.#patience / 1000} s`;
  }

  /** Whether the lock could be had at once. */
  #tryLock(fd: number): boolean {
    if (this.#calls === undefined) throw new Error('a simulated machine was changed that was not prepared');
    const { file, libc } = this.#calls;
    if (file.flock(fd, file.LOCK_EX | file.LOCK_NB) === 0) return true;
    const errno = libc.lastErrno();
    if (errno === Errno.EAGAIN || errno === Errno.EINTR) return false;
    throw new LockError(`failed to lock it: ${strerror(errno)}`);
  }
}

/** What tells one content of a path from another. */
export type FileIdentity = Pick<BigIntStats, 'dev' | 'ino' | 'size' | 'mtimeNs' | 'ctimeNs'>;

/** Whether both are there and have the same content. */
export function isSame(one: FileIdentity | undefined, other: FileIdentity | undefined): boolean {
  return (
    one !== undefined &&
    one.ino === other?.ino &&
    one.dev === other.dev &&
    one.size === other.size &&
    one.mtimeNs === other.mtimeNs &&
    one.ctimeNs === other.ctimeNs
  );
}

function identify(path: string): FileIdentity | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false });
}

function openLockFile(path: string): number {
  return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK, 0o600);
}

/** The process that has the lock of a file, as far as this user sees it. */
function holderOf(path: string): number | undefined {
  try {
    return lockHolder(path);
  } catch {
    // There is no /proc.
    return undefined;
  }
}

function sleep(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
