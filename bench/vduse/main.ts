/** Compares VDUSE devices with other servers on the lab's kernel, and prints tables: npm run bench:vduse. */
import { cpus } from 'node:os';
import { join } from 'node:path';
import { boot } from '../../lab/boot.js';
import { findCommand } from '../../lab/host.js';
import type { MachineKind } from '../../lab/machine/machine.js';
import { prepareLab } from '../../lab/setup.js';
import { leaveOut, printTable } from '../report.js';
import { measureBenchDriver } from './bench-driver.js';
import { delayRows, growthRows, netRows } from './net-rows.js';
import { includes, parts, readPlan, type Part, type Plan } from './plan.js';
import { measureNbd } from './nbd.js';
import { measureProcessors } from './processors.js';
import { waits, type Results } from './results.js';
import { measureRealDisk } from './real-disk.js';
import { agreementTable, diskTable, diskRows, flushRows, nbdRows, queueRows, waitingRows } from './disk-rows.js';

const timeLimitMs = 3_600_000;
const memoryMiB = 4096;

let plan: Plan;
try {
  plan = readPlan(process.argv.slice(2));
} catch (error) {
  console.error((error as Error).message);
  process.exit(2);
}
const processors = cpus();
console.log(
  `vdpa in the lab on ${processors.length} cores (${processors[0]?.model ?? 'unknown'}), Node ${process.version}; ` +
    `${plan.rounds} rounds of ${plan.seconds} s, medians`,
);

/** Measures in the lab. @returns undefined, after printing why, if this host does not support that machine. @throws Error */
async function measure(machine: MachineKind, plan: Plan, kernelParameters: readonly string[] = []): Promise<Results> {
  const lab = await prepareLab(['vduse'], machine);
  if ('missing' in lab) {
    leaveOut(plan.parts.join(', '), lab.missing);
    return {};
  }
  let results = '';
  const ending = await boot(
    lab,
    {
      command: ['node', join(import.meta.dirname, 'in-lab.js'), JSON.stringify(plan)],
      cwd: '/',
      timeLimitMs,
      memoryMiB,
      kernelParameters,
      environment: { VDPA_SIM: '' },
    },
    {
      results: (bytes) => (results += Buffer.from(bytes).toString()),
      stderr: (bytes) => process.stderr.write(bytes),
    },
  );
  if (ending.kind !== 'exited') throw new Error(`The lab ${ending.kind}:\n${ending.console}`);
  if (ending.status !== 0) throw new Error(`It failed with status ${ending.status}`);
  return JSON.parse(results) as Results;
}

/** Those that are measured on the machine qemu, or on this machine itself. */
const elsewhere: readonly Part[] = ['driver', 'waiting', 'flush', 'real', 'processors', 'nbd'];
const inUml = parts.filter((part) => !elsewhere.includes(part) && includes(plan, part));
const measured = inUml.length === 0 ? {} : await measure('uml', { ...plan, parts: inUml });
if (measured.disks) {
  diskTable(measured.disks);
  printTable('Disks: the goals', diskRows(measured.disks));
}
if (measured.queues) printTable('Four queues', queueRows(measured.queues));
if (measured.agreement) agreementTable('Programs on the same disk', measured.agreement);
if (measured.net) printTable('Networks', netRows(measured.net));
if (measured.delay) printTable('Delay', delayRows(measured.delay));
if (measured.growth) printTable('Growth', growthRows(measured.growth));
if (includes(plan, 'driver')) printTable('The driver of dev bench', measureBenchDriver());
for (const [part, title, measureHere] of [
  ['real', 'The disk of this machine', measureRealDisk],
  ['processors', 'Two processors', measureProcessors],
  ['nbd', 'Disks on an NBD server', measureNbd],
] as const) {
  if (!includes(plan, part)) continue;
  try {
    printTable(title, await measureHere(plan));
  } catch (error) {
    leaveOut(part, (error as Error).message);
  }
}
if (includes(plan, 'waiting')) {
  for (const wait of waits) {
    const disk = ['null_blk.irqmode=2', `null_blk.completion_nsec=${wait}`, 'null_blk.gb=1'];
    const { waiting } = await measure('qemu', { ...plan, parts: ['waiting'] }, disk);
    if (waiting) printTable('Disks that wait, on the machine qemu', waitingRows(waiting, wait));
  }
}
if (includes(plan, 'agreement')) {
  const { agreement } = await measure('qemu', { ...plan, parts: ['agreement'] });
  if (agreement) agreementTable('Programs on the same disk, on the machine qemu', agreement);
}
if (includes(plan, 'flush')) {
  const { flush } = await measure('qemu', { ...plan, parts: ['flush'] });
  if (flush) printTable('Reads beside a flush, on the machine qemu', flushRows(flush));
}
if (includes(plan, 'nbd')) {
  if (findCommand('nbd-client') === undefined) {
    leaveOut("nbd, against the kernel's", 'nbd-client is not installed');
  } else {
    const { nbd } = await measure('qemu', { ...plan, parts: ['nbd'] });
    if (nbd) printTable('Disks on an NBD server, on the machine qemu', nbdRows(nbd));
  }
}
