/** The simulated machine selected by the environment: the entry point for the command line. */
import { isAbsolute, join, resolve } from 'node:path';
import type { NetlinkTransport } from '../netlink/transport.js';
import { homeFolder } from '../sys/home-folder.js';
import { SimulationError } from './error.js';
import type { Fault } from './state/fault.js';
import { SimulatedKernel } from './kernel.js';
import { FileStore } from './state/file-store.js';
import { bootState } from './state/model.js';
import type { FileState, MachineState } from './state/model.js';
import { SimulatedTransport } from './transport.js';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The path of the state file: VDPA_SIM_STATE, otherwise `vdpa/sim.json` below XDG_STATE_HOME or ~/.local/state.
 * @throws SimulationError if none of them is known
 */
export function statePath(environment: Environment): string {
  const chosen = environment['VDPA_SIM_STATE'];
  if (chosen !== undefined && chosen !== '') return resolve(chosen);
  const chosenFolder = environment['XDG_STATE_HOME'];
  // According to its specification, a relative path in XDG_STATE_HOME is ignored.
  if (chosenFolder !== undefined && isAbsolute(chosenFolder)) return join(chosenFolder, 'vdpa/sim.json');
  const home = homeFolder(environment);
  if (home === undefined) {
    throw new SimulationError('No home folder for the state of the simulated machine: set VDPA_SIM_STATE to a file');
  }
  return join(home, '.local/state/vdpa/sim.json');
}

/** A simulated machine with its state in a file. */
export class Simulation {
  readonly store: FileStore;
  readonly #environment: Environment;

  /**
   * @param environment with VDPA_SIM_STATE, XDG_STATE_HOME, VDPA_SIM_UID, VDPA_SIM_FAULTS, VDPA_SIM_RECORD and
   *   VDPA_SIM_EXPORT
   */
  constructor(environment: Environment) {
    this.#environment = environment;
    this.store = new FileStore(statePath(environment));
  }

  /**
   * Replaces the machine with a newly booted one. @param files the files on its disk
   * @throws SimulationError; SystemError if its files cannot be exported
   */
  async boot(machine: MachineState, files: readonly FileState[] = []): Promise<void> {
    await this.store.prepare();
    this.store.overwrite(bootState(machine, files));
    await this.close();
  }

  /** The user that vdpa runs as there. @throws SimulationError */
  get uid(): number {
    return readUid(this.#environment['VDPA_SIM_UID']) ?? this.store.read().machine.uid;
  }

  /**
   * Completes the file of the state, which can be used further. If this process has changed the machine, updates the
   * files in the folder of VDPA_SIM_EXPORT: whoever started the process finds them as they would be on a real machine.
   * @throws SimulationError; SystemError if the files cannot be written
   */
  async close(): Promise<void> {
    this.store.close();
    const folder = this.#environment['VDPA_SIM_EXPORT'];
    if (folder !== undefined && folder !== '' && this.store.hasChanged) await this.export(folder);
  }

  /**
   * Writes /sys and /dev to a folder, while no process changes the machine.
   * @throws SystemError ENOTEMPTY for a folder with other files, and errors of the file system; SimulationError
   */
  async export(folder: string): Promise<void> {
    const [{ exportFiles }, { rootDirectory }] = await Promise.all([
      import('./machine/files/export.js'),
      import('./machine/files/root.js'),
    ]);
    await this.store.prepare();
    this.store.hold((state) => {
      exportFiles(rootDirectory(state, { uid: this.uid }), folder);
    });
  }

  /** A netlink socket of the machine. @throws SimulationError if the environment or the state is invalid */
  async open(): Promise<NetlinkTransport> {
    const uid = readUid(this.#environment['VDPA_SIM_UID']);
    const faults = await readFaults(this.#environment['VDPA_SIM_FAULTS']);
    const kernel = new SimulatedKernel(this.store, faults);
    const transport = new SimulatedTransport(kernel, uid === undefined ? {} : { uid });
    const recordPath = this.#environment['VDPA_SIM_RECORD'];
    if (recordPath === undefined || recordPath === '') return transport;
    const { RecordFile, recordTransport } = await import('./record.js');
    return recordTransport(transport, new RecordFile(recordPath));
  }
}

function readUid(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  if (!/^[0-9]{1,9}$/.test(text)) throw new SimulationError(`Invalid VDPA_SIM_UID "${text}": expected a user ID`);
  return Number(text);
}

async function readFaults(text: string | undefined): Promise<Fault[]> {
  if (text === undefined || text.trim() === '') return [];
  return (await import('./state/fault-syntax.js')).parseFaults(text);
}
