/**
 * `vdpa dev show` on the simulation against the same on this kernel's socket: npm run lab -- node build/bench/sim.js
 *
 * Whole processes and calls inside one process, interleaved, medians; first without devices and then with 10 and 200.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../src/cli/run.js';
import '../test/support/kernel/inside.js';

const processRounds = 30;
const callRounds = 200;
/** What the simulation may take, of what the socket takes. */
const goal = 1.1;

const folder = mkdtempSync(join(tmpdir(), 'vdpa-bench-'));
const simulated = { VDPA_SIM: '1', VDPA_SIM_STATE: join(folder, 'sim.json') };
const program = join(import.meta.dirname, '../../bin/vdpa.js');
/** Ratios of whole processes. */
const ratios: number[] = [];

console.log('| devices | measured | socket | simulation | ratio |');
console.log('| --- | --- | --- | --- | --- |');
let devices = 0;
for (const count of [0, 10, 200]) {
  while (devices < count) await addEverywhere(devices++);
  report(count, 'one process', interleave(processRounds, startProcess));
  report(count, 'one call', await interleaveCalls());
}
for (let at = 0; at < devices; at++) await call({}, ['dev', 'del', `d${at}`]);
rmSync(folder, { recursive: true });
const isMet = ratios.every((ratio) => ratio <= goal);
console.log(`goal: ratio of a process at most ${goal}: ${isMet ? 'met' : 'missed'}`);
process.exitCode = isMet ? 0 : 1;

/** Medians in milliseconds: of this kernel's socket and of the simulation. */
interface Medians {
  readonly socket: number;
  readonly simulation: number;
}

function report(count: number, what: string, { socket, simulation }: Medians): void {
  const ratio = simulation / socket;
  if (what === 'one process') ratios.push(ratio);
  console.log(`| ${count} | ${what} | ${socket.toFixed(2)} ms | ${simulation.toFixed(2)} ms | ${ratio.toFixed(2)} |`);
}

async function addEverywhere(index: number): Promise<void> {
  for (const env of [{}, simulated]) await call(env, ['dev', 'add', 'mgmtdev', 'vdpasim_net', 'name', `d${index}`]);
}

function interleave(rounds: number, measure: (env: NodeJS.ProcessEnv) => number): Medians {
  const socket: number[] = [];
  const simulation: number[] = [];
  for (let round = 0; round < rounds; round++) {
    socket.push(measure({}));
    simulation.push(measure(simulated));
  }
  return { socket: median(socket), simulation: median(simulation) };
}

function startProcess(env: NodeJS.ProcessEnv): number {
  const begun = performance.now();
  const { status } = spawnSync(process.execPath, [program, 'dev', 'show'], { env: { ...process.env, ...env } });
  if (status !== 0) throw new Error(`vdpa dev show ended with status ${status}`);
  return performance.now() - begun;
}

async function interleaveCalls(): Promise<Medians> {
  const socket: number[] = [];
  const simulation: number[] = [];
  for (let round = 0; round < callRounds; round++) {
    socket.push(await call({}, ['dev', 'show']));
    simulation.push(await call(simulated, ['dev', 'show']));
  }
  return { socket: median(socket), simulation: median(simulation) };
}

async function call(env: NodeJS.ProcessEnv, argv: readonly string[]): Promise<number> {
  const begun = performance.now();
  let said = '';
  const status = await run(argv, {
    env,
    stdout: () => undefined,
    stderr: (text) => {
      said += text;
    },
  });
  if (status !== 0) throw new Error(`vdpa ${argv.join(' ')}: ${said}`);
  return performance.now() - begun;
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
}
