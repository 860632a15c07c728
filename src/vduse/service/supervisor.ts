import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChildProcess } from 'node:child_process';
import { Errno } from '../../sys/errno.js';
import { SystemError } from '../../sys/error.js';
import { monotonicMs } from '../../sys/clock.js';
import { findUser, forbidNewPrivileges } from '../../sys/rights.js';
import { VduseControl } from '../control.js';
import { VduseError } from '../error.js';
import { isAttached } from '../instance.js';
import { devicePath } from '../name.js';
import { readiness, startServer } from './launch.js';
import { RuntimeFolder } from './runtime-folder.js';
import type { ServiceReports } from './serve.js';

/** By this variable a server knows that it has a supervisor: the word is the supervisor's process id. */
export const SUPERVISED_VARIABLE = 'VDPA_VDUSE_SUPERVISOR';

/** How a server is supervised. */
export interface Supervision {
  /** Another takes its place when it ends by itself. */
  readonly restart: boolean;
  /** Who it becomes, once its device is open. */
  readonly user?: string;
}

/** One that lives for less has not begun well; so many of them in a row are enough. */
const SHORT_LIFE_MS = 2000;
const MAX_SHORT_LIVES = 5;

/**
 * Lets a process of its own serve a device, until this one gets SIGTERM or SIGINT or the server is told to end. What takes
 * rights is done here: the runtime folder, and the instance's end. The guest's data and the driver are the server's only.
 * @param words behind `vdpa vduse serve`
 * @throws VduseError, RightsError, LaunchError where it cannot begin, or cannot go on
 */
export async function superviseUntilTold(
  name: string,
  words: readonly string[],
  supervision: Supervision,
  reports: ServiceReports,
): Promise<void> {
  if (supervision.user !== undefined) findUser(supervision.user);
  const { folder, release } = RuntimeFolder.claim(name);
  try {
    forbidNewPrivileges();
    try {
      await new Supervisor(name, words, supervision, reports).run(folder);
    } finally {
      destroyInstance(name);
    }
  } finally {
    release();
  }
}

class Supervisor {
  readonly #name: string;
  readonly #words: readonly string[];
  readonly #supervision: Supervision;
  readonly #reports: ServiceReports;
  #server: ChildProcess | undefined;
  #ending = false;

  constructor(name: string, words: readonly string[], supervision: Supervision, reports: ServiceReports) {
    this.#name = name;
    this.#words = words;
    this.#supervision = supervision;
    this.#reports = reports;
  }

  async run(folder: RuntimeFolder): Promise<void> {
    const end = (): void => {
      this.#ending = true;
      this.#reports.ending();
      this.#server?.kill('SIGTERM');
    };
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, end);
    try {
      for (let lives = 0, shortLives = 0; !this.#ending; lives++) {
        folder.removeSocket();
        const born = monotonicMs();
        const how = await this.#live(lives === 0);
        if (how === undefined) return;
        const ended = `the server of ${this.#name} has ended ${how}`;
        if (!this.#supervision.restart) throw new VduseError(ended);
        shortLives = monotonicMs() - born < SHORT_LIFE_MS ? shortLives + 1 : 0;
        if (shortLives >= MAX_SHORT_LIVES)
          throw new VduseError(`${ended}, ${shortLives} times in a row soon after it began`);
        this.#reports.trouble(`${ended}; another takes its place`);
        if (shortLives > 1) await sleep(50 * 2 ** shortLives);
      }
    } finally {
      for (const signal of ['SIGTERM', 'SIGINT'] as const) process.off(signal, end);
    }
  }

  /** A server from its beginning to its end. @returns how it ended, undefined where it had been told to */
  async #live(first: boolean): Promise<string | undefined> {
    const server = startServer(this.#words, { [SUPERVISED_VARIABLE]: String(process.pid) });
    this.#server = server;
    const ended = once(server, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    try {
      await readiness(server);
      if (first) this.#reports.ready();
    } catch (error) {
      await ended;
      if (first) throw error;
      return `before it was ready: ${String(error)}`;
    }
    server.stderr?.pipe(process.stderr, { end: false });
    const [status, signal] = await ended;
    if (status === 0 || this.#ending) return undefined;
    return signal === null ? `with status ${status ?? 1}` : `by ${signal}`;
  }
}

/** Destroys an instance, unless it is on the bus: there it waits for another server. */
function destroyInstance(name: string): void {
  if (isAttached(name) || !existsSync(devicePath(name))) return;
  const control = new VduseControl();
  try {
    control.destroy(name);
  } catch (error) {
    // Whoever has told the server to end may have been quicker.
    if (!(error instanceof SystemError && error.errno === Errno.EINVAL)) throw error;
  } finally {
    control.close();
  }
}
