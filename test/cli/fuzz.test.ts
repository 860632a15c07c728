import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { Simulation } from '../../src/sim/simulation.js';
import type { SimState } from '../../src/sim/state/model.js';
import { ArgvGenerator } from '../support/argv-generator.js';
import { vdpa, type Outcome } from '../support/command-line.js';
import { Random } from '../support/random.js';
import { TestMachine } from '../support/test-machine.js';

/** Of a thread: the part to run, and the folder for it. */
const given = workerData as { readonly name: string; readonly folder: string };
const folder = isMainThread ? mkdtempSync(join(tmpdir(), 'vdpa-fuzz-')) : given.folder;
const environment = { VDPA_SIM: '1', VDPA_SIM_STATE: join(folder, 'sim.json') };

/** What exists on a machine. */
type Things = Pick<SimState, 'devices' | 'vduse'>;

/** A machine that lines are run on. */
interface Machine {
  run(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<Outcome>;
  things(): Things;
}

/** What is wrong with a run, if anything. */
function complaint(argv: readonly string[], outcome: Outcome, before: Things, after: Things): string | undefined {
  const { status, stdout, stderr } = outcome;
  if (status !== 0 && status !== 1) return `status ${status}`;
  if (/^ {4}at /m.test(stderr) || stderr.includes('This is a bug in vdpa')) return 'a fault';
  if (status === 1 && stderr === '') return 'fails without a message';
  const came = newOnes(before.devices, after.devices);
  const went = newOnes(after.devices, before.devices);
  const instances = newOnes(before.vduse, after.vduse) + newOnes(after.vduse, before.vduse);
  if (status === 1 && came + went + instances > 0) return 'a rejected line has changed something';
  if (came > 1 || went > 1 || instances > 1) return 'more than one thing has changed';
  if (argv.includes('-j') && !argv.includes('--') && stdout.startsWith('{')) JSON.parse(stdout);
  return undefined;
}

/** How many of the things in `after` are new or changed since `before`. */
function newOnes(before: readonly object[], after: readonly object[]): number {
  // Mostly the same objects, since a thing that does not change is kept.
  const objects = new Set(before);
  const others = after.filter((one) => !objects.has(one));
  if (others.length === 0) return 0;
  const known = new Set(before.map((one) => JSON.stringify(one)));
  return others.filter((one) => !known.has(JSON.stringify(one))).length;
}

/** Runs many lines. @returns how many succeeded and failed, and changed something */
async function runMany(machine: Machine, runs: number, seed: number): Promise<string> {
  const generator = await ArgvGenerator.create(new Random(seed));
  const statuses: [number, number] = [0, 0];
  let changed = 0;
  let before = machine.things();
  for (let index = 0; index < runs; index++) {
    const argv = generator.next();
    const env = { ...environment, ...(index % 50 === 0 ? { POSIXLY_CORRECT: '1' } : {}) };
    const outcome = await machine.run(argv, env);
    const after = machine.things();
    const wrong = complaint(argv, outcome, before, after);
    if (wrong !== undefined) {
      assert.fail(`${JSON.stringify(argv)}: ${wrong}: ${JSON.stringify({ outcome, before, after }).slice(0, 2000)}`);
    }
    statuses[outcome.status === 0 ? 0 : 1]++;
    if (newOnes(before.devices, after.devices) + newOnes(after.devices, before.devices) > 0) changed++;
    before = after;
  }
  const summary = `${statuses[0]} succeeded, ${statuses[1]} failed, ${changed} changed something`;
  assert.ok(Math.min(...statuses) > runs / 5 && changed > runs / 100, summary);
  return summary;
}

const parts: Record<string, () => Promise<string>> = {
  '50,000 command lines: no fault, status 0 or 1, never a half-done change': () => {
    const machine = new TestMachine();
    // Devices of VDUSE have a server beside the kernel, which this machine in memory has not.
    const withoutVduse = (argv: readonly string[]): string[] =>
      argv.map((word) => word.replace('vduse', 'vdpasim_net'));
    // What reads and writes its files has a machine of its own, too.
    const own = join(given.folder, 'files.json');
    const run: Machine['run'] = (argv, env) =>
      machine.vdpa(withoutVduse(argv), { env: { ...env, VDPA_SIM_STATE: own } });
    return runMany({ run, things: () => machine.store.read() }, 50_000, 20_260_101);
  },
  '5,000 more on a machine in a file, with servers of VDUSE': () => {
    const { store } = new Simulation(environment);
    const run: Machine['run'] = (argv, env) => vdpa(argv, { env });
    return runMany({ run, things: () => store.read() }, 5_000, 20_260_102);
  },
};

if (isMainThread) {
  after(() => {
    rmSync(folder, { recursive: true });
  });
  describe('command lines as people write them', { concurrency: true }, () => {
    for (const name of Object.keys(parts)) {
      // On a thread of its own: the test runner follows every promise of this one.
      test(name, async (context) => {
        const [summary] = (await once(
          new Worker(fileURLToPath(import.meta.url), { workerData: { name, folder } }),
          'message',
        )) as [string];
        context.diagnostic(summary);
      });
    }
  });
} else {
  // The traces of the errors that are expected would take long to make.
  Error.stackTraceLimit = 1;
  parentPort?.postMessage(await parts[given.name]?.());
}
