/** Runs a command on a simulated machine of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Errno, nodeErrno, strerror } from '../sys/errno.js';
import { programWords } from '../sys/program.js';
import { SimulationError } from './error.js';
import { RecordFile } from './record.js';
import { Simulation } from './simulation.js';
import type { MachineState } from './state/model.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** What to run, and where. */
export interface SimulatedRun {
  readonly machine: MachineState;
  /** A program, found like in a shell, and its arguments. */
  readonly command: string;
  readonly args: readonly string[];
  /** Of this process; the command inherits it. */
  readonly environment: Environment;
  /** A file for the requests and answers, and the devices that are left. */
  readonly record?: string;
  /** A folder for /sys and /dev of the machine, as files: its processes keep them up to date. */
  readonly exportTo?: string;
  /** Called if the command cannot be started. */
  readonly onFailure: (message: string) => void;
}

/** What a shell adds to the number of the signal that ended a program. */
const endedBySignal = 128;
/** The exit statuses of a shell for a program that does not exist, or cannot be executed. */
const notFound = 127;
const notExecutable = 126;

/**
 * Boots a machine in a new private folder, and runs a command with this program as `vdpa`, first in its PATH. The folder
 * is removed afterwards, whatever happens. SIGTERM, SIGHUP and SIGINT are passed on to the command.
 * @returns the exit status as in a shell: the command's, 128 + n if signal n ended it, 127 if it does not exist, 126 if
 *   it cannot be executed
 * @throws SimulationError if the machine cannot be made or its state read, or the record cannot be written; SystemError
 *   if its files cannot be exported
 */
export async function runSimulated(run: SimulatedRun): Promise<number> {
  const record = run.record === undefined ? undefined : resolve(run.record);
  const files = run.exportTo === undefined ? undefined : resolve(run.exportTo);
  const file = record === undefined ? undefined : new RecordFile(record, { truncate: true });
  const relay = new SignalRelay();
  let folder: string | undefined;
  try {
    folder = makeFolder();
    const environment = {
      ...run.environment,
      PATH: `${makeProgram(folder)}:${run.environment['PATH'] ?? '/usr/local/bin:/usr/bin:/bin'}`,
      VDPA_SIM: '1',
      VDPA_SIM_STATE: join(folder, 'state.json'),
      // Undefined is unset: the record and the files of a run that this one is part of are those of another machine.
      VDPA_SIM_RECORD: record,
      VDPA_SIM_EXPORT: files,
      SYSFS_ROOT: files,
    };
    const simulation = new Simulation(environment);
    await simulation.boot(run.machine);
    if (relay.early !== undefined) return endedBySignal + constants.signals[relay.early];
    const status = await execute(run, environment, relay);
    if (file !== undefined) {
      const { devices, vduse } = simulation.store.read();
      file.append({ type: 'end', status, devices, vduse: vduse.map(({ name }) => name) });
    }
    return status;
  } finally {
    file?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    relay.stop();
  }
}

/** A new folder that only this user may enter. */
function makeFolder(): string {
  try {
    return mkdtempSync(join(tmpdir(), 'vdpa-sim-'));
  } catch (error) {
    const errno = nodeErrno(error) ?? Errno.EIO;
    throw new SimulationError(`Cannot create a folder for the simulated machine in ${tmpdir()}: ${strerror(errno)}`);
  }
}

/** Writes `vdpa` into a folder for PATH: this program. @returns the folder */
function makeProgram(folder: string): string {
  const bin = join(folder, 'bin');
  mkdirSync(bin, { mode: 0o700 });
  const words = programWords().map(quote).join(' ');
  writeFileSync(join(bin, 'vdpa'), `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o700, flag: 'wx' });
  return bin;
}

/** A word of sh(1) that means exactly this text. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Runs the command and waits for its end. @returns the exit status */
function execute(
  { command, args, onFailure }: SimulatedRun,
  env: NodeJS.ProcessEnv,
  relay: SignalRelay,
): Promise<number> {
  return new Promise((end) => {
    const child = spawn(command, args, { env, stdio: 'inherit' });
    relay.passTo(child);
    child.once('error', (error) => {
      const errno = nodeErrno(error) ?? Errno.EIO;
      onFailure(`${command}: ${strerror(errno)}`);
      end(errno === Errno.ENOENT ? notFound : notExecutable);
    });
    child.once('exit', (status, signal) => {
      end(signal === null ? (status ?? 0) : endedBySignal + constants.signals[signal]);
    });
  });
}

const relayed = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
type Relayed = (typeof relayed)[number];

/** Passes signals to a command instead of ending this process, which has a folder to remove. */
class SignalRelay {
  /** The first signal, if there is no command yet. */
  early: Relayed | undefined;
  #child: ChildProcess | undefined;
  readonly #pass = (signal: Relayed): void => {
    // A terminal sends SIGINT to the command too.
    if (this.#child === undefined) this.early ??= signal;
    else if (signal !== 'SIGINT' || !process.getBuiltinModule('node:tty').isatty(0)) this.#child.kill(signal);
  };

  constructor() {
    for (const signal of relayed) process.on(signal, this.#pass);
  }

  passTo(child: ChildProcess): void {
    this.#child = child;
  }

  stop(): void {
    for (const signal of relayed) process.off(signal, this.#pass);
  }
}
