/** Measures VDUSE devices on the lab's kernel against other servers, and prints tables: npm run bench:vduse. */
import { cpus } from 'node:os';
import { join } from 'node:path';
import { boot } from '../../lab/boot.js';
import { prepareLab } from '../../lab/setup.js';
import { printTable } from '../report.js';
import { growthRows, netRows } from './net-rows.js';
import { readPlan, type Plan } from './plan.js';
import type { Results } from './results.js';
import { diskTable, diskRows, queueRows } from './disk-rows.js';

const timeLimitMs = 3_600_000;
const memoryMiB = 4096;

let plan: Plan;
try {
  plan = readPlan(process.argv.slice(2));
} catch (error) {
  console.error((error as Error).message);
  process.exit(2);
}
const lab = await prepareLab(['vduse']);
if ('missing' in lab) throw new Error(`There is no lab on this machine: ${lab.missing}`);

const processors = cpus();
console.log(
  `vdpa in the lab (User-Mode Linux, one processor) on ${processors.length} cores ` +
    `(${processors[0]?.model ?? 'unknown'}), Node ${process.version}; ${plan.rounds} rounds of ${plan.seconds} s, medians`,
);
let results = '';
let errors = '';
const ending = await boot(
  lab,
  {
    command: ['node', join(import.meta.dirname, 'in-lab.js'), JSON.stringify(plan)],
    cwd: '/',
    timeLimitMs,
    memoryMiB,
    environment: { VDPA_SIM: '' },
  },
  {
    results: (bytes) => (results += Buffer.from(bytes).toString()),
    stderr: (bytes) => {
      const text = Buffer.from(bytes).toString();
      errors = (errors + text).slice(-4000);
      process.stderr.write(text);
    },
  },
);
if (ending.kind !== 'exited') throw new Error(`The lab ${ending.kind}:\n${ending.console}`);
if (ending.status !== 0) throw new Error(`It failed with status ${ending.status}`);
const measured = JSON.parse(results) as Results;
if (measured.disks) {
  diskTable(measured.disks);
  printTable('Disks: the goals', diskRows(measured.disks));
}
if (measured.queues) printTable('Four queues', queueRows(measured.queues));
if (measured.net) printTable('Networks', netRows(measured.net));
if (measured.growth) printTable('Growth', growthRows(measured.growth));
