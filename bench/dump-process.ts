/**
 * Lists devices of a fake kernel repeatedly: node build/bench/dump-process.js COUNT TIMES OPTIONS…
 * Prints the duration of each list in milliseconds, and the peak memory in KiB, as JSON.
 */
import { readFileSync } from 'node:fs';
import { run } from '../src/cli/run.js';
import { tree } from '../src/command-tree.js';
// Loaded before the clock starts: loading is measured with the commands.
import '../src/commands/dev/show.js';
import { ListingKernel, listOf } from './device-list.js';

const [count = '', times = '', ...options] = process.argv.slice(2);
const datagrams = listOf(Number(count));
const taken: number[] = [];
for (let time = 0; time < Number(times); time++) {
  let written = 0;
  const start = process.hrtime.bigint();
  const status = await run(
    [...options, 'dev', 'show'],
    {
      env: {},
      stdout: (text) => (written += text.length),
      stderr: (text) => process.stderr.write(text),
      openTransport: () => new ListingKernel(datagrams),
    },
    tree,
  );
  taken.push(Number(process.hrtime.bigint() - start) / 1e6);
  if (status !== 0 || written < Number(count) * 50) throw new Error(`status ${status}, ${written} characters`);
}
const memory = Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]);
console.log(JSON.stringify({ taken, memory }));
