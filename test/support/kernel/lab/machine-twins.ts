/** The machine's kernel and a simulated one, which get the same commands and writes, and must show the same. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileStore } from '../../../../src/sim/state/file-store.js';
import { bareMachine, bootState, type MachineState } from '../../../../src/sim/state/model.js';
import { startResponder, toResponding } from '../servers/responder-process.js';
import { startFrom } from './compare.js';
import { simulatorDevices, vduseDevices, vduseInstances } from './machine-devices.js';
import { Sequence, type AddableDevice } from './machine-sequence.js';
import { MachineSide } from './machine-side.js';
import { snapshot } from './machine-snapshot.js';

/** What sequences use; by default the simulators and VDUSE. */
export interface TwinOptions {
  /** The simulated machine. A program serves its VDUSE instances on the real one. */
  readonly machine?: MachineState;
  /** The devices that are added. */
  readonly addable?: readonly AddableDevice[];
}

const usualMachine: MachineState = { ...bareMachine, vduse: vduseInstances };
const usualDevices = [...simulatorDevices, ...vduseDevices];

/** Runs sequences of random steps on both machines. */
export class MachineTwins {
  readonly #folder: string;
  readonly #endResponder: () => Promise<void>;
  readonly #sides: readonly [real: MachineSide, simulated: MachineSide];
  readonly #addable: readonly AddableDevice[];
  /** What was compared so far. */
  steps = 0;
  events = 0;
  files = 0;

  private constructor(
    folder: string,
    endResponder: () => Promise<void>,
    sides: readonly [MachineSide, MachineSide],
    addable: readonly AddableDevice[],
  ) {
    this.#folder = folder;
    this.#endResponder = endResponder;
    this.#sides = sides;
    this.#addable = addable;
  }

  static async start({ machine = usualMachine, addable = usualDevices }: TwinOptions = {}): Promise<MachineTwins> {
    await startFrom([]);
    const endResponder = await startResponder(machine.vduse.map(toResponding));
    const folder = mkdtempSync(join(tmpdir(), 'vdpa-twins-'));
    const store = new FileStore(join(folder, 'sim.json'));
    await store.prepare();
    store.overwrite(bootState(machine));
    return new MachineTwins(folder, endResponder, [await MachineSide.real(), MachineSide.simulated(store)], addable);
  }

  /** Deletes what a failed sequence has left: the program cannot destroy VDUSE instances in use. */
  async close(): Promise<void> {
    await startFrom([]);
    for (const side of this.#sides) await side.close();
    await this.#endResponder();
    rmSync(this.#folder, { recursive: true });
  }

  /** Runs sequences with these seeds, and closes. */
  async runAll(first: number, count: number, report: (text: string) => void): Promise<void> {
    try {
      for (let seed = first; seed < first + count; seed++) await this.run(seed);
    } finally {
      await this.close();
    }
    report(`${this.steps} steps, ${this.events} events, ${this.files} files`);
  }

  /** Runs a sequence that begins and ends without devices. @throws AssertionError with the steps so far */
  async run(seed: number): Promise<void> {
    const sequence = new Sequence(seed, this.#addable, this.#sides);
    for (const side of this.#sides) side.start();
    try {
      for (let count = 3 + sequence.random.below(10); count > 0; count--) await this.#step(sequence, sequence.next());
    } finally {
      sequence.letGo();
    }
    for (const name of sequence.devices) await this.#step(sequence, `dev del ${name}`);
    await this.#step(sequence, 'write /sys/bus/vdpa/drivers_autoprobe 1');
  }

  async #step(sequence: Sequence, step: string): Promise<void> {
    sequence.steps.push(step);
    const [expected, actual] = await Promise.all(this.#sides.map((side) => this.#outcome(sequence, side, step)));
    assert.deepEqual(actual, expected, `seed ${sequence.seed}: ${sequence.steps.join('; ')}`);
    sequence.done(step, expected?.status === 0);
    this.steps++;
  }

  /** What a step prints, broadcasts and leaves. */
  async #outcome(sequence: Sequence, side: MachineSide, step: string) {
    const { status, stdout, stderr } = await sequence.perform(side, step);
    const uevents = await side.events();
    if (side === this.#sides[0]) this.events += uevents.length;
    const shown = await side.vdpa('-d dev show');
    const tree = await side.vdpa('tree');
    const files = snapshot(side);
    if (side === this.#sides[0]) this.files += files.length;
    return {
      status,
      stdout: side.comparable(stdout),
      stderr: side.comparable(stderr),
      uevents,
      shown: side.comparable(shown.stdout),
      tree: side.comparable(tree.stdout),
      files,
    };
  }
}
