/**
 * Mutual exclusion of writers of a state file, with two locks of flock(2), which the system releases when a process
 * ends: one on the state file for the writer, and one on a file next to it for the next writer. Only the next writer
 * tries to lock the state file, so that no later process overtakes it; and only it creates a missing state file.
 *
 * A change replaces the file at the path. A process that holds the lock of a replaced file starts over.
 */
import { closeSync, constants, fstatSync, mkdirSync, openSync, statSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { dirname } from 'node:path';
import { monotonicMs } from '../../sys/clock.js';
import { Errno, nodeErrno, strerror } from '../../sys/errno.js';
import type * as fileCalls from '../../sys/file.js';
import type * as libcCalls from '../../sys/libc.js';
import { lockHolder } from '../../sys/lock-holder.js';

/** The functions of the C library for a lock, loaded only for changes. */
interface LockCalls {
  readonly file: typeof fileCalls;
  readonly libc: typeof libcCalls;
}

/** How long to wait without progress of another process, in milliseconds. */
export const defaultTimeoutMs = 30_000;
/** The interval of attempts of the next writer, in milliseconds: about the time of a change. */
const nextNap = 1;
/** The initial interval of all others; it shrinks the longer they have waited. */
const longestNap = 16;
const shortestNap = 4;
/** The time until the interval is minimal, in milliseconds. */
const agingTime = 3000;
/** The interval of checks for progress of others, in milliseconds. */
const progressInterval = 250;

/** The lock could not be acquired. */
export class LockError extends Error {
  override readonly name = 'LockError';
}

/** The lock of one state file. */
export class StateLock {
  readonly #path: string;
  readonly #timeoutMs: number;
  #calls: LockCalls | undefined;

  constructor(path: string, timeoutMs: number) {
    this.#path = path;
    this.#timeoutMs = timeoutMs;
  }

  get isPrepared(): boolean {
    return this.#calls !== undefined;
  }

  /** Loads the functions for locking. */
  async prepare(): Promise<void> {
    const [file, libc] = await Promise.all([import('../../sys/file.js'), import('../../sys/libc.js')]);
    this.#calls = { file, libc };
  }

  /**
   * Waits for the lock.
   * @param open opens the state file, and creates it if necessary
   * @returns its descriptor; closing it releases the lock
   * @throws LockError; what `open` throws, and errors of node:fs
   */
  take(open: () => number): number {
    const turn = this.#openTurn();
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

  /** Opens the file whose lock is the turn to wait for the state; creates their directory if necessary. */
  #openTurn(): number {
    const path = `${this.#path}.lock`;
    try {
      return openLockFile(path);
    } catch (error) {
      if (nodeErrno(error) !== Errno.ENOENT) throw error;
    }
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    return openLockFile(path);
  }

  /** @param napTime the interval after a number of milliseconds */
  #wait(fd: number, napTime: (waited: number) => number): void {
    const begun = monotonicMs();
    let seen: FileIdentity | undefined;
    let lastChange = begun;
    let nextCheck = begun;
    while (!this.#tryLock(fd)) {
      const now = monotonicMs();
      if (now >= nextCheck) {
        nextCheck = now + progressInterval;
        const current = identify(this.#path);
        if (!isSame(current, seen)) lastChange = now;
        seen = current;
      }
      if (now - lastChange > this.#timeoutMs) throw new LockError(this.#reason());
      sleep(napTime(now - begun) * (0.5 + Math.random() / 2));
    }
  }

  #reason(): string {
    const holder = holderOf(this.#path) ?? holderOf(`${this.#path}.lock`);
    const who = holder === undefined ? 'another process' : `process ${holder}`;
    return `locked by ${who} without progress for ${this.#timeoutMs / 1000} s`;
  }

  /** Whether the lock was acquired immediately. */
  #tryLock(fd: number): boolean {
    if (this.#calls === undefined) throw new Error('a simulated machine was changed that was not prepared');
    const { file, libc } = this.#calls;
    if (file.flock(fd, file.LOCK_EX | file.LOCK_NB) === 0) return true;
    const errno = libc.lastErrno();
    if (errno === Errno.EAGAIN || errno === Errno.EINTR) return false;
    throw new LockError(`failed to lock it: ${strerror(errno)}`);
  }
}

/** Identifies the file at a path. */
export type FileIdentity = Pick<BigIntStats, 'dev' | 'ino' | 'size' | 'mtimeNs' | 'ctimeNs'>;

/** Whether both exist and are the same file. */
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

/** The process that holds the lock of a file, if visible to this user. */
function holderOf(path: string): number | undefined {
  try {
    return lockHolder(path);
  } catch {
    // /proc is not mounted.
    return undefined;
  }
}

function sleep(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
