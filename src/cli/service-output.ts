/** The output of a long-running server. It does not depend on a reader: it neither blocks nor fails without one. */
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import { monotonicMs } from '../sys/clock.js';
import { dup2 } from '../sys/libc.js';
import { poll, POLLOUT } from '../sys/poll.js';
import { exitNow } from '../sys/process.js';
import { LOG_ERR, LOG_WARNING, sendToSyslog } from '../sys/syslog.js';

const STDOUT = 1;
const STDERR = 2;

/** The size of an atomic write to a pipe (PIPE_BUF). */
const MAX_LINE = 4096;

/** A limit of lines per time, so that a guest that keeps breaking its rings does not fill the log. */
const BURST = 20;
const BURST_MS = 10_000;

/**
 * The output of a server or a supervisor: standard error while it has a reader, the system log otherwise. A line that
 * neither accepts is lost.
 */
export class ServiceOutput {
  readonly #onFailure: (error: unknown) => void;
  #isServing = false;
  #isDetached = false;
  #burstBegan = 0;
  #written = 0;
  #suppressed = 0;

  /** @param onFailure called for an uncaught error, before it ends the process */
  constructor(onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure;
  }

  /**
   * Takes over everything that this process writes to standard output and error: its own lines, those of Node and of
   * threads, and uncaught errors. From now on no write blocks.
   */
  begin(): void {
    for (const fd of [STDOUT, STDERR]) reopen(fd);
    for (const name of ['stdout', 'stderr'] as const) {
      const stream = new Writable({
        write: (chunk: Uint8Array, _encoding, done) => {
          this.warn(Buffer.from(chunk).toString().trimEnd());
          done();
        },
      });
      Object.defineProperty(process, name, { value: stream, configurable: true, enumerable: true });
    }
    process.removeAllListeners('warning');
    process.on('warning', (warning) => {
      this.warn(warning.stack ?? warning.message);
    });
    process.on('uncaughtException', (error) => {
      this.#onFailure(error);
      this.#write(LOG_ERR, error instanceof Error ? (error.stack ?? error.message) : String(error));
      exitNow(1);
    });
  }

  /** Whether the service runs, so that the process that started it may be gone. */
  get isServing(): boolean {
    return this.#isServing;
  }

  /** The service runs. @param detached standard error no longer has a reader: everything goes to the system log */
  startService({ detached }: { readonly detached: boolean }): void {
    this.#isServing = true;
    if (!detached) return;
    this.#isDetached = true;
    const fd = openSync('/dev/null', constants.O_RDWR);
    dup2(fd, STDERR);
    closeSync(fd);
  }

  warn(text: string): void {
    const now = monotonicMs();
    if (now - this.#burstBegan > BURST_MS) {
      const suppressed = this.#suppressed;
      this.#burstBegan = now;
      this.#written = this.#suppressed = 0;
      if (suppressed > 0) this.#write(LOG_WARNING, `${suppressed} more lines were suppressed`);
    }
    if (++this.#written > BURST) this.#suppressed++;
    else this.#write(LOG_WARNING, text);
  }

  /** Ends the process because of an error. */
  fail(lines: readonly string[]): void {
    this.#write(LOG_ERR, lines.join('\n'));
  }

  #write(severity: number, text: string): void {
    for (const line of text.split('\n')) {
      if (this.#isDetached || !writeAtOnce(STDERR, line)) log(severity, line);
    }
  }
}

/** Reopens a descriptor as non-blocking, if possible: the open file is shared with other programs. */
function reopen(fd: number): void {
  let own: number;
  try {
    own = openSync(
      `/proc/self/fd/${fd}`,
      constants.O_WRONLY | constants.O_NONBLOCK | constants.O_APPEND | constants.O_NOCTTY,
    );
  } catch {
    // Not possible for a socket, nor for a file of another user.
    return;
  }
  dup2(own, fd);
  closeSync(own);
}

/** @returns false if it cannot be written now */
function writeAtOnce(fd: number, line: string): boolean {
  const bytes = Buffer.from(`${line}\n`).subarray(0, MAX_LINE);
  try {
    return poll(fd, POLLOUT, 0) === 1 && writeSync(fd, bytes) === bytes.length;
  } catch {
    return false;
  }
}

function log(severity: number, line: string): void {
  try {
    sendToSyslog(severity, 'vdpa', line.slice(0, MAX_LINE));
  } catch {
    // The error cannot be reported: there is no log, or it is too slow.
  }
}
