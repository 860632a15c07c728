/** Measures the cost of the command line, and prints a table: npm run bench. */
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { measureBatch } from './batch.js';
import { measureDump } from './dump.js';
import { measureInLab } from './lab.js';
import { printTable } from './report.js';
import { measureStart } from './start.js';

const processors = cpus();
console.log(`vdpa on ${processors.length} cores (${processors[0]?.model ?? 'unknown'}), Node ${process.version}`);
const folder = mkdtempSync(join(tmpdir(), 'vdpa-bench-'));
try {
  printTable('One command', await measureStart(folder));
  printTable('Many commands', measureBatch(folder));
  printTable('Long lists', measureDump());
  printTable('On a kernel', await measureInLab());
} finally {
  rmSync(folder, { recursive: true });
}
