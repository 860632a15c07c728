import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChildProcess } from 'node:child_process';
import { Errno, nodeErrno } from '../../sys/errno.js';
import { SystemError } from '../../sys/error.js';
import { monotonicMs } from '../../sys/clock.js';
import { findUser, setNoNewPrivileges } from '../../sys/privileges.js';
import { VduseControl } from '../kernel/control.js';
import { VduseError } from '../error.js';
import type { InstanceRecord } from '../spec/instance-record.js';
import { isAttached } from '../engine/takeover.js';
import { devicePath } from '../kernel/name.js';
import { formatArguments, toEntry } from '../spec/arguments.js';
import { resolveSpec } from '../spec/resolve.js';
import { awaitReadiness, spawnServer } from './launch.js';
import { RuntimeFolder } from './runtime-folder.js';
import type { ServiceOptions, ServiceEvents } from './serve.js';
import type { ServedDeviceSpec } from '../spec/device-spec.js';
import { ask, listen, type ServerAnswer, type ServerRequest, type StartingStatus } from './socket.js';
import { DEFAULT_QUEUE_SIZE } from '../spec/defaults.js';

/** This variable tells a server that it has a supervisor: its value is the supervisor's process id. */
export const SUPERVISED_VARIABLE = 'VDPA_VDUSE_SUPERVISOR';

/** A server that ends earlier has failed to start; this many failures in a row are the limit. */
const EARLY_EXIT_MS = 2000;
const MAX_EARLY_EXITS = 5;

/** Time limit for a server to end on request until it is killed: longer than it needs to give up a blocked thread. */
const END_TIMEOUT_MS = 75_000;

/**
 * Serves a device in a separate process, until this one receives SIGTERM or SIGINT, or a request to stop on its socket.
 * Operations that need privileges are done here: the runtime directory, and destroying the instance. Only the server
 * handles the driver and the guest's data.
 * @throws VduseError, PrivilegeError, LaunchError if it does not start, or fails later
 */
export async function runSupervisor(
  device: ServedDeviceSpec,
  events: ServiceEvents,
  options: ServiceOptions,
): Promise<void> {
  if (device.user !== undefined) findUser(device.user);
  const { folder, release } = RuntimeFolder.claim(device.name);
  try {
    setNoNewPrivileges();
    await new Supervisor(device, events, options).run(folder);
  } finally {
    release();
  }
}

class Supervisor {
  readonly #device: ServedDeviceSpec;
  readonly #events: ServiceEvents;
  readonly #force: boolean;
  #record: InstanceRecord | undefined;
  #socketPath = '';
  #server: ChildProcess | undefined;
  #generation = 0;
  #wasReady = false;
  #ending = false;
  /** Callers that wait for the end. */
  readonly #endWaiters: ((answer: ServerAnswer) => void)[] = [];

  constructor(device: ServedDeviceSpec, events: ServiceEvents, { force }: ServiceOptions) {
    this.#force = force;
    this.#device = device;
    this.#events = events;
  }

  async run(folder: RuntimeFolder): Promise<void> {
    // A server that starts reports a damaged record.
    this.#record = folder.record(true);
    this.#socketPath = folder.socketPath;
    const socket = await listen(folder.supervisorPath, (request) => this.#answer(request));
    const end = (): void => {
      this.#end();
    };
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, end);
    const existedBefore = existsSync(devicePath(this.#device.name));
    let answer: ServerAnswer = { ended: true };
    try {
      try {
        await this.#superviseAll(folder);
      } finally {
        // An instance that existed before, and that no server of this supervisor could serve, is left unchanged.
        if (!existedBefore || this.#wasReady) destroyInstance(this.#device.name);
      }
    } catch (error) {
      answer = { error: String(error) };
      throw error;
    } finally {
      for (const resolve of this.#endWaiters) resolve(answer);
      socket.close();
      for (const signal of ['SIGTERM', 'SIGINT'] as const) process.off(signal, end);
    }
  }

  #answer(request: ServerRequest): Promise<ServerAnswer> {
    if (request.do === 'status') return Promise.resolve({ starting: this.#status() });
    this.#end();
    return new Promise((resolve) => this.#endWaiters.push(resolve));
  }

  #status(): StartingStatus {
    const { ifname, blockSize } = this.#record?.read() ?? {};
    const { type, queues = 1, queueSize = DEFAULT_QUEUE_SIZE } = this.#device;
    return {
      device: {
        ...toEntry(resolveSpec(this.#device)),
        // Properties that the kernel or the disk may have determined.
        ...(ifname !== undefined && { ifname }),
        ...(blockSize !== undefined && { block_size: blockSize }),
      },
      state: this.#ending ? 'ending' : this.#generation === 0 ? 'starting' : 'restarting',
      supervisor: process.pid,
      queueCount: type === 'net' ? queues * 2 : queues,
      queueSize,
    };
  }

  #end(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#events.ending();
    this.#endServer();
  }

  /**
   * Asks the server to stop. A server that is stopped (SIGSTOP) handles it only when it continues; one that does not
   * end is killed.
   */
  #endServer(): void {
    const server = this.#server;
    if (!server) return;
    if (signalServer(server, 'SIGTERM')) {
      signalServer(server, 'SIGCONT');
      setTimeout(() => signalServer(server, 'SIGKILL'), END_TIMEOUT_MS).unref();
      return;
    }
    const { name } = this.#device;
    ask({ name, socketPath: this.#socketPath }, { do: 'end' }, END_TIMEOUT_MS).catch((error: unknown) => {
      this.#events.warning(`the server of ${name} does not exit, and signalling it failed: ${String(error)}`);
    });
  }

  /** Runs one server after another, until one ends on request. */
  async #superviseAll(folder: RuntimeFolder): Promise<void> {
    for (let earlyExits = 0; !this.#ending; this.#generation++) {
      folder.removeSocket();
      const startedAt = monotonicMs();
      const exitReason = await this.#runServer();
      if (exitReason === undefined) return;
      const ended = `the server of ${this.#device.name} exited ${exitReason}`;
      if (this.#device.restart !== true) throw new VduseError(ended);
      earlyExits = monotonicMs() - startedAt < EARLY_EXIT_MS ? earlyExits + 1 : 0;
      if (earlyExits >= MAX_EARLY_EXITS)
        throw new VduseError(`${ended}, ${earlyExits} times in a row, each time shortly after its start`);
      this.#events.warning(`${ended}; starting another`);
      if (earlyExits > 1) await sleep(50 * 2 ** earlyExits);
    }
  }

  /** Runs a server from its start to its end. @returns how it ended, undefined if it was asked to */
  async #runServer(): Promise<string | undefined> {
    const isFirst = this.#generation === 0;
    // Once the first server has started, the forced properties are those of the instance.
    const args = [...formatArguments(this.#device), ...(this.#force && isFirst ? ['force'] : [])];
    const server = spawnServer(args, { [SUPERVISED_VARIABLE]: String(process.pid) });
    this.#server = server;
    const ended = endOf(server);
    // It was asked to stop before it existed.
    if (this.#ending) this.#endServer();
    try {
      await awaitReadiness(server);
      this.#wasReady = true;
      if (isFirst) this.#events.ready();
    } catch (error) {
      await ended;
      if (this.#ending) return undefined;
      if (isFirst) throw error;
      return `before it was ready: ${String(error)}`;
    }
    if (server.stderr) {
      createInterface(server.stderr).on('line', (line) => {
        this.#events.log(line);
      });
    }
    const [status, signal] = await ended;
    if (status === 0 || this.#ending) return undefined;
    return signal === null ? `with status ${status ?? 1}` : `by ${signal}`;
  }
}

/** Resolves with the exit status or the signal; a server that could not be started has neither. */
function endOf(server: ChildProcess): Promise<[number | null, NodeJS.Signals | null]> {
  return new Promise((resolve) => {
    server.once('close', (status, signal) => {
      resolve([status, signal]);
    });
    server.once('error', () => {
      resolve([null, null]);
    });
  });
}

/** @returns false if that is not permitted: the server runs as another user now, and this process lacks CAP_KILL */
function signalServer({ pid, exitCode, signalCode }: ChildProcess, signal: NodeJS.Signals): boolean {
  if (pid === undefined || exitCode !== null || signalCode !== null) return true;
  try {
    process.kill(pid, signal);
  } catch (error) {
    const errno = nodeErrno(error);
    if (errno === Errno.EPERM) return false;
    if (errno !== Errno.ESRCH) throw error;
  }
  return true;
}

/** Destroys an instance, unless it is on the bus: then it remains for another server. */
function destroyInstance(name: string): void {
  if (isAttached(name) || !existsSync(devicePath(name))) return;
  const control = new VduseControl();
  try {
    control.destroy(name);
  } catch (error) {
    // The client that asked the server to stop may have destroyed it first.
    if (!(error instanceof SystemError && error.errno === Errno.EINVAL)) throw error;
  } finally {
    control.close();
  }
}
