/** Serializes the processes that apply state files to a machine. */
import { closeSync, constants, fstatSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { Errno, nodeErrno } from '../../sys/errno.js';
import { SystemError } from '../../sys/error.js';
import { flock, LOCK_EX, LOCK_NB } from '../../sys/file.js';
import { checked } from '../../sys/libc.js';
import { sleep, type WaitOptions } from '../../sys/wait.js';

/** Options for waiting for a lock; the time limit is 60 s by default. */
export interface LockOptions extends WaitOptions {
  /** Called once if another process holds the lock. */
  readonly onWait?: (holder: string) => void;
}

const pollMs = 20;

/**
 * Acquires the lock in a file; creates the file and its directory if necessary. The system releases it however the
 * process ends.
 * @returns a function that releases it
 * @throws SystemError: EBUSY if another process holds it for too long; the reason of the signal
 */
export async function lockState(
  path: string,
  { timeoutMs = 60_000, signal, onWait }: LockOptions = {},
): Promise<() => void> {
  const fd = openLock(path);
  try {
    const deadline = performance.now() + timeoutMs;
    for (let tries = 0; !tryLock(fd); tries++) {
      const holder = readHolder(path);
      if (tries === 0) onWait?.(holder);
      if (performance.now() > deadline) {
        const hint = `${holder} has been changing devices for ${timeoutMs / 1000} s`;
        throw new SystemError({ operation: `lock ${path}`, errno: Errno.EBUSY, hint });
      }
      await sleep(pollMs, signal);
    }
    ftruncateSync(fd);
    writeSync(fd, `${process.pid}\n`, 0);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return () => {
    closeSync(fd);
  };
}

function openLock(path: string): number {
  const operation = `lock ${path}`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const fd = openSync(
      path,
      constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK,
      0o600,
    );
    if (fstatSync(fd).isFile()) return fd;
    closeSync(fd);
  } catch (cause) {
    const errno = nodeErrno(cause);
    if (errno === undefined) throw cause;
    throw new SystemError({ operation, errno, cause });
  }
  throw new SystemError({ operation, errno: Errno.EINVAL, hint: 'It is not a regular file' });
}

function tryLock(fd: number): boolean {
  try {
    checked('lock', flock(fd, LOCK_EX | LOCK_NB));
    return true;
  } catch (error) {
    if (error instanceof SystemError && error.errno === Errno.EAGAIN) return false;
    throw error;
  }
}

function readHolder(path: string): string {
  const pid = /^[0-9]+$/m.exec(readFileSync(path, 'utf8'))?.[0];
  return pid === undefined ? 'Another process' : `Process ${pid}`;
}
