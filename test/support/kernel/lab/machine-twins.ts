/** The machine's kernel and a simulated one, which get the same commands and writes, and must show the same. */
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NetlinkTransport } from '../../../../src/netlink/transport.js';
import { SimulatedFiles } from '../../../../src/sim/machine/files/simulated-files.js';
import { hold, release } from '../../../../src/sim/machine/holders.js';
import { FileStore } from '../../../../src/sim/state/file-store.js';
import { SimulatedUevents } from '../../../../src/sim/uevents.js';
import { SystemError } from '../../../../src/sys/error.js';
import { processStart } from '../../../../src/sys/process-start.js';
import { LocalFiles, type MachineFiles } from '../../../../src/sysfs/machine-files.js';
import { openUevents, parseUevent } from '../../../../src/uevent/uevent.js';
import { vdpa, type Outcome } from '../../command-line.js';
import { Random } from '../../random.js';
import { startFrom } from './compare.js';

const BUS = '/sys/bus/vdpa';

/** The subsystems of vDPA devices and what drivers make of them. */
const subsystems: ReadonlySet<string> = new Set(['vdpa', 'virtio', 'net', 'queues', 'block', 'bdi', 'vduse']);

/** One of both machines. */
interface Side {
  readonly files: MachineFiles;
  readonly uevents: NetlinkTransport;
  readonly vdpa: (line: string) => Promise<Outcome>;
  /** Opens a node, until the returned function is called. */
  readonly hold: (node: string) => () => void;
  /** The numbers that count up for as long as a machine runs: the first one of each in a sequence. */
  readonly first: Map<string, number>;
  /** The sequence number of the last event that was received. */
  last: string;
}

/** Runs sequences of random steps on both machines. */
export class MachineTwins {
  readonly #folder: string;
  readonly #store: FileStore;
  readonly #real: Side;
  readonly #simulated: Side;
  /** What was compared so far. */
  steps = 0;
  events = 0;
  files = 0;

  private constructor(folder: string, realUevents: NetlinkTransport) {
    this.#folder = folder;
    const env = { VDPA_SIM: '1', VDPA_SIM_STATE: join(folder, 'sim.json') };
    this.#store = new FileStore(env.VDPA_SIM_STATE);
    this.#real = {
      files: new LocalFiles(),
      uevents: realUevents,
      vdpa: (line) => vdpa(line),
      hold: (node) => {
        const fd = openSync(`/dev/${node}`, 'r+');
        return () => {
          closeSync(fd);
        };
      },
      first: new Map(),
      last: '',
    };
    this.#simulated = {
      files: new SimulatedFiles(this.#store),
      uevents: new SimulatedUevents(this.#store),
      vdpa: (line) => vdpa(line, { env }),
      hold: (node) => {
        const holder = { pid: process.pid, started: processStart(process.pid) ?? '', node };
        this.#store.update((draft) => {
          hold(draft, holder);
        });
        return () => {
          this.#store.update((draft) => {
            release(draft, holder);
          });
        };
      },
      first: new Map(),
      last: '',
    };
  }

  static async start(): Promise<MachineTwins> {
    await startFrom([]);
    const twins = new MachineTwins(mkdtempSync(join(tmpdir(), 'vdpa-twins-')), await openUevents());
    await twins.#store.prepare();
    for (const side of twins.#sides) side.last = lastEvent(side);
    return twins;
  }

  async close(): Promise<void> {
    await this.#real.uevents.close();
    await this.#simulated.uevents.close();
    rmSync(this.#folder, { recursive: true });
  }

  /** Runs a sequence that begins and ends without devices. @throws AssertionError with the steps so far */
  async run(seed: number): Promise<void> {
    const sequence = new Sequence(seed, this.#sides);
    for (const { first } of this.#sides) first.clear();
    try {
      for (let count = 3 + sequence.random.below(10); count > 0; count--) await this.#step(sequence, sequence.next());
    } finally {
      sequence.letGo();
    }
    for (const name of [...sequence.devices.keys()]) await this.#step(sequence, `dev del ${name}`);
    await this.#step(sequence, `write ${BUS}/drivers_autoprobe 1`);
  }

  get #sides(): readonly [Side, Side] {
    return [this.#real, this.#simulated];
  }

  async #step(sequence: Sequence, step: string): Promise<void> {
    sequence.steps.push(step);
    const [expected, actual] = await Promise.all(this.#sides.map((side) => this.#outcome(sequence, side, step)));
    assert.deepEqual(actual, expected, `seed ${sequence.seed}: ${sequence.steps.join('; ')}`);
    sequence.done(step, expected?.status === 0);
    this.steps++;
  }

  /** What a step prints, broadcasts and leaves. */
  async #outcome(sequence: Sequence, side: Side, step: string) {
    const { status, stdout, stderr } = await sequence.perform(side, step);
    const uevents = await receiveAll(side);
    if (side === this.#real) this.events += uevents.length;
    const shown = await side.vdpa('-d dev show');
    const tree = await side.vdpa('tree');
    const files = snapshot(side);
    if (side === this.#real) this.files += files.length;
    return {
      status,
      stdout,
      stderr: withoutCommand(stderr),
      uevents,
      shown: withoutCommand(shown.stdout),
      tree: tree.stdout,
      files,
    };
  }
}

/** A process is `node` here and `vdpa` in the simulation. */
function withoutCommand(text: string): string {
  return text.replaceAll(/\((?:node|vdpa|MainThread)\)/g, '(it)').replaceAll(/command \S+ node/g, 'command it node');
}

/** A number relative to the first of its kind in a sequence. */
function relative({ first }: Side, kind: string, text: string): string {
  const number = Number(text);
  const start = first.get(kind) ?? number;
  first.set(kind, start);
  return `+${number - start}`;
}

/** All events so far, without numbers that differ. */
async function receiveAll(side: Side): Promise<string[]> {
  const last = lastEvent(side);
  const events: string[] = [];
  while (side.last !== last) {
    const { action, subsystem, devpath, variables } = parseUevent(await side.uevents.receive(10_000));
    const entries = [...variables].flatMap(([key, value]) => {
      if (key === 'SEQNUM') return [];
      return [`${key}=${key === 'IFINDEX' || key === 'DISKSEQ' ? relative(side, key, value) : value}`];
    });
    // Receive queues of interfaces are shown, and broadcast, only by kernels with CONFIG_RPS.
    if (subsystems.has(subsystem) && !devpath.includes('/queues/rx-')) {
      events.push([`${action}@${devpath}`, ...entries].join(' '));
    }
    side.last = variables.get('SEQNUM') ?? last;
  }
  return events;
}

function lastEvent({ files }: Side): string {
  return files.text('/sys/kernel/uevent_seqnum') ?? '';
}

/** The entries that the simulation has as well; others are not read by anything. */
const entry =
  /^(?:driver|driver_override|subsystem|uevent|device|vendor|modalias|net|block|dev|size|address|flags|ifindex|type|diskseq|holders|slaves|bind|unbind|virtio[0-9]+|vhost-vdpa-[0-9]+|eth[0-9]+|vd[a-z]+)$/;

/** The devices and drivers of the bus, with all that is below them, and the nodes: a line for each file. */
function snapshot(side: Side): string[] {
  const { files } = side;
  const lines: string[] = [];
  const walk = (path: string): void => {
    for (const name of files.list(path)) {
      const full = `${path}/${name}`;
      const target = files.link(full);
      if (target !== undefined) lines.push(`${full} -> ${target}`);
      else if (files.list(full).length > 0) {
        lines.push(`${full}/`);
        if (entry.test(name)) walk(full);
      } else if (entry.test(name)) lines.push(`${full} ${describe(side, name, full)}`);
    }
  };
  for (const bus of ['vdpa', 'virtio']) {
    for (const name of files.list(`/sys/bus/${bus}/devices`)) {
      lines.push(`${bus} ${name} ${files.real(`/sys/bus/${bus}/devices/${name}`) ?? ''}`);
    }
  }
  for (const driver of files.list(`${BUS}/drivers`)) walk(`${BUS}/drivers/${driver}`);
  lines.push(`autoprobe ${files.text(`${BUS}/drivers_autoprobe`) ?? ''}`);
  for (const name of files.list(`${BUS}/devices`)) {
    const folder = files.real(`${BUS}/devices/${name}`) ?? '';
    lines.push(folder);
    walk(folder);
  }
  for (const node of files.list('/dev').filter((name) => /^(?:vhost-vdpa-|vd[a-z])/.test(name))) {
    if (node === 'vduse') continue;
    lines.push(`${node} ${JSON.stringify([files.deviceNumber(`/dev/${node}`), files.access(`/dev/${node}`)])}`);
  }
  return lines.filter((line) => isCompared(line));
}

/** Directories of attributes that the simulation leaves out. */
function isCompared(line: string): boolean {
  if (/\/(?:power|queues|statistics|mq|queue|integrity|trace|iosched|napi)\/$/.test(line)) return false;
  // The backing device information of a disk, and modules of drivers that are not built in.
  return !/\/(?:bdi|module) -> /.test(line);
}

function describe(side: Side, name: string, path: string): string {
  // Empty directories, and files that can only be written.
  if (['holders', 'slaves', 'bind', 'unbind'].includes(name) || (name === 'uevent' && path.includes('/drivers/')))
    return 'is there';
  const text = side.files.text(path) ?? '';
  if (name === 'ifindex' || name === 'diskseq') {
    return relative(side, name === 'ifindex' ? 'IFINDEX' : 'DISKSEQ', text);
  }
  // A device without an address gets a random one from its driver.
  if (name === 'address') return /^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(text) ? 'an address' : text;
  return text.replaceAll(
    /^(IFINDEX|DISKSEQ)=([0-9]+)$/gm,
    (_, key: string, value: string) => `${key}=${relative(side, key, value)}`,
  );
}

/** Steps that make sense for the devices there are; most of them succeed. */
class Sequence {
  readonly seed: number;
  readonly random: Random;
  readonly steps: string[] = [];
  /** The types of the devices. */
  readonly devices = new Map<string, 'net' | 'blk'>();
  readonly #held = new Map<string, { readonly device: string; readonly end: (() => void)[] }>();
  readonly #sides: readonly [Side, Side];

  constructor(seed: number, sides: readonly [Side, Side]) {
    this.seed = seed;
    this.random = new Random(seed);
    this.#sides = sides;
  }

  next(): string {
    const { random } = this;
    const name = `d${random.below(5)}`;
    const driver = random.pick(['vhost', 'virtio']);
    const isHeld = [...this.#held.values()].some(({ device }) => device === name);
    switch (random.below(isHeld ? 5 : 11)) {
      case 0:
        return `dev bind ${name} driver ${driver}`;
      case 1:
        return `dev unbind ${name}`;
      case 2:
        return `dev del ${name}`;
      case 3:
        return this.#held.size > 0 ? `release ${[...this.#held.keys()][0] ?? ''}` : `hold ${name}`;
      case 4:
        return `write ${BUS}/devices/${name}/driver_override ${random.pick(['vhost_vdpa\n', 'virtio_vdpa', '\n', 'no'])}`;
      case 5:
        return `write ${BUS}/drivers/${driver}_vdpa/${random.pick(['bind', 'unbind'])} ${name}`;
      case 6:
        return `write ${BUS}/drivers_probe ${name}`;
      case 7:
        return `write ${BUS}/drivers_autoprobe ${random.below(2)}`;
      default: {
        // Each disk of the simulator takes 128 MiB.
        const disks = [...this.devices.values()].filter((type) => type === 'blk').length;
        const type = disks < 3 && random.chance(40) ? 'blk' : 'net';
        const options = random.chance(30) ? ` driver ${driver}` : '';
        return `dev add mgmtdev vdpasim_${type} name ${name}${options}`;
      }
    }
  }

  async perform(side: Side, step: string): Promise<Outcome> {
    const [verb = '', object = '', ...rest] = step.split(' ');
    if (verb === 'dev') return side.vdpa(step);
    const silent = { status: 0, stdout: '', stderr: '' };
    if (verb === 'write') {
      try {
        side.files.write('write', object, rest.join(' '));
        return silent;
      } catch (error) {
        if (error instanceof SystemError) return { ...silent, status: 1, stderr: error.code };
        throw error;
      }
    }
    if (verb === 'release') {
      this.#held.get(object)?.end[this.#sides.indexOf(side)]?.();
      return silent;
    }
    const node = side.files.list(`${BUS}/devices/${object}`).find((part) => part.startsWith('vhost-vdpa-'));
    if (node === undefined) return { ...silent, status: 1 };
    const held = this.#held.get(node) ?? { device: object, end: [] };
    held.end[this.#sides.indexOf(side)] = side.hold(node);
    this.#held.set(node, held);
    return { ...silent, stdout: node };
  }

  /** Records the effect of a step. */
  done(step: string, succeeded: boolean): void {
    if (!succeeded) return;
    const added = /^dev add mgmtdev vdpasim_(net|blk) name (\S+)/.exec(step);
    if (added) this.devices.set(added[2] ?? '', added[1] === 'blk' ? 'blk' : 'net');
    const deleted = /^dev del (\S+)/.exec(step)?.[1];
    if (deleted !== undefined) this.devices.delete(deleted);
    const released = /^release (\S+)/.exec(step)?.[1];
    if (released !== undefined) this.#held.delete(released);
  }

  /** Closes all nodes. */
  letGo(): void {
    for (const { end } of this.#held.values()) for (const close of end) close();
    this.#held.clear();
  }
}
