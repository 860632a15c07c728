/** A machine that gets commands and writes: the one that this runs on, or a simulated one. What it shows is comparable. */
import { closeSync, openSync, readFileSync } from 'node:fs';
import type { NetlinkTransport } from '../../../../src/netlink/transport.js';
import { SimulatedFiles } from '../../../../src/sim/machine/files/simulated-files.js';
import { hold, release } from '../../../../src/sim/machine/holders.js';
import { VDUSE_MAJOR, VHOST_MAJOR } from '../../../../src/sim/machine/places.js';
import type { FileStore } from '../../../../src/sim/state/file-store.js';
import { SimulatedUevents } from '../../../../src/sim/uevents.js';
import { processStart } from '../../../../src/sys/process-start.js';
import { LocalFiles, type MachineFiles } from '../../../../src/sysfs/machine-files.js';
import { openUevents, parseUevent } from '../../../../src/uevent/uevent.js';
import { vdpa, type Outcome } from '../../command-line.js';

/** The subsystems of vDPA devices and what drivers make of them. */
const subsystems: ReadonlySet<string> = new Set(['vdpa', 'virtio', 'net', 'queues', 'block', 'bdi', 'vduse']);

/** Numbers that count up for as long as a machine runs: only their differences in a sequence are compared. */
type Counting = 'IFINDEX' | 'DISKSEQ';

export class MachineSide {
  readonly files: MachineFiles;
  readonly vdpa: (line: string) => Promise<Outcome>;
  /** Opens a node, until the returned function is called. */
  readonly hold: (node: string) => () => void;
  readonly #uevents: NetlinkTransport;
  /** The dynamic major numbers of this machine, and those of the simulation. */
  readonly #majors: ReadonlyMap<string, number>;
  /** The machine's own virtio devices, which have the first numbers. */
  readonly #ownVirtio: readonly string[];
  readonly #first = new Map<Counting, number>();
  /** The sequence number of the last event that was received. */
  #last: string;

  private constructor(
    files: MachineFiles,
    uevents: NetlinkTransport,
    majors: ReadonlyMap<string, number>,
    run: MachineSide['vdpa'],
    open: MachineSide['hold'],
  ) {
    this.files = files;
    this.vdpa = run;
    this.hold = open;
    this.#uevents = uevents;
    this.#majors = majors;
    this.#ownVirtio = files.list('/sys/bus/virtio/devices');
    this.#last = this.#lastEvent();
  }

  /** This machine, without vDPA devices. */
  static async real(): Promise<MachineSide> {
    const open = (node: string): (() => void) => {
      const fd = openSync(`/dev/${node}`, 'r+');
      return () => {
        closeSync(fd);
      };
    };
    return new MachineSide(new LocalFiles(), await openUevents(), majorNumbers(), (line) => vdpa(line), open);
  }

  /** The simulated machine of a state file. */
  static simulated(store: FileStore): MachineSide {
    const env = { VDPA_SIM: '1', VDPA_SIM_STATE: store.path };
    const open = (node: string): (() => void) => {
      const holder = { pid: process.pid, started: processStart(process.pid) ?? '', node };
      store.update((draft) => {
        hold(draft, holder);
      });
      return () => {
        store.update((draft) => {
          release(draft, holder);
        });
      };
    };
    return new MachineSide(
      new SimulatedFiles(store),
      new SimulatedUevents(store),
      new Map(),
      (line) => vdpa(line, { env }),
      open,
    );
  }

  /** Begins a sequence. */
  start(): void {
    this.#first.clear();
  }

  async close(): Promise<void> {
    await this.#uevents.close();
  }

  /** The virtio devices of vDPA devices. */
  virtioDevices(): string[] {
    return this.files.list('/sys/bus/virtio/devices').filter((name) => !this.#ownVirtio.includes(name));
  }

  /** A text of this machine with numbers that are the same on both: those of its virtio devices begin at 0. */
  comparable(text: string): string {
    const withoutProcess = text
      .replaceAll(/\((?:node|vdpa|MainThread)\)/g, '(it)')
      .replaceAll(/command \S+ node/g, 'command it node');
    return this.#ownVirtio.length === 0
      ? withoutProcess
      : withoutProcess.replaceAll(
          /\bvirtio([0-9]+)\b/g,
          (_, number: string) => `virtio${Number(number) - this.#ownVirtio.length}`,
        );
  }

  /** A major number, as the simulation has it. */
  major(number: string): string {
    return `${this.#majors.get(number) ?? number}`;
  }

  /** The content of a file; numbers that count up are relative to the first one of a sequence. */
  content(name: string, path: string): string {
    const text = this.files.text(path) ?? '';
    if (name === 'ifindex') return this.#relative('IFINDEX', text);
    if (name === 'diskseq') return this.#relative('DISKSEQ', text);
    if (name === 'dev') return text.replace(/^[0-9]+/, (number) => this.major(number));
    return text
      .replaceAll(/^(IFINDEX|DISKSEQ)=([0-9]+)$/gm, (_, key: Counting, value: string) => {
        return `${key}=${this.#relative(key, value)}`;
      })
      .replaceAll(/^MAJOR=([0-9]+)$/gm, (_, value: string) => `MAJOR=${this.major(value)}`);
  }

  /** All events since the last call. */
  async events(): Promise<string[]> {
    const last = this.#lastEvent();
    const events: string[] = [];
    while (this.#last !== last) {
      const { action, subsystem, devpath, variables } = parseUevent(await this.#uevents.receive(10_000));
      const entries = [...variables].flatMap(([key, value]) => {
        if (key === 'SEQNUM') return [];
        if (key === 'MAJOR') return [`${key}=${this.major(value)}`];
        return [`${key}=${key === 'IFINDEX' || key === 'DISKSEQ' ? this.#relative(key, value) : value}`];
      });
      // Receive queues of interfaces are shown, and broadcast, only by kernels with CONFIG_RPS.
      if (subsystems.has(subsystem) && !devpath.includes('/queues/rx-')) {
        events.push(this.comparable([`${action}@${devpath}`, ...entries].join(' ')));
      }
      this.#last = variables.get('SEQNUM') ?? last;
    }
    return events;
  }

  #relative(kind: Counting, text: string): string {
    const number = Number(text);
    const start = this.#first.get(kind) ?? number;
    this.#first.set(kind, start);
    return `+${number - start}`;
  }

  #lastEvent(): string {
    return this.files.text('/sys/kernel/uevent_seqnum') ?? '';
  }
}

/** The numbers that this machine gave to the nodes of vhost_vdpa and VDUSE. */
function majorNumbers(): Map<string, number> {
  const simulated: Readonly<Record<string, number>> = { 'vhost-vdpa': VHOST_MAJOR, vduse: VDUSE_MAJOR };
  const majors = new Map<string, number>();
  for (const [, number = '', name = ''] of readFileSync('/proc/devices', 'latin1').matchAll(/^ *([0-9]+) (\S+)$/gm)) {
    const major = simulated[name];
    if (major !== undefined) majors.set(number, major);
  }
  return majors;
}
