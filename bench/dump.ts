import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { cleanEnvironment, median } from './measure.js';
import { mebibytes, milliseconds, type Row } from './report.js';

const devices = 10_000;
const many = 200_000;

/** Long lists through the decoder and the renderer. */
export function measureDump(): Row[] {
  const rows: Row[] = [];
  for (const [name, options] of [
    ['JSON', ['-j']],
    ['text', []],
  ] as const) {
    const row = (when: string, time: number, against: string): Row => ({
      what: `\`dev show\` of ${devices} devices, ${name}, ${when}`,
      ours: milliseconds(time),
      against,
      figure: (devices / time) * 1000,
      goal: { atLeast: 200_000 },
      unit: 'devices/s',
    });
    const firsts = Array.from({ length: 9 }, () => listDevices(devices, 1, options).taken[0] ?? 0);
    rows.push(row('the first time in a process', median(firsts), 'V8 has compiled nothing yet'));
    // In the first rounds V8 finds out what is worth compiling.
    rows.push(row('again in the same process', median(listDevices(devices, 40, options).taken.slice(20)), ''));
  }
  // What the fake kernel itself needs for its list is in both.
  const few = listDevices(many, 0, ['-j']).memory;
  const all = listDevices(many, 1, ['-j']).memory;
  rows.push({
    what: `memory that \`dev show -j\` of ${many} devices takes`,
    ours: mebibytes(all - few),
    against: `output of ${mebibytes((many * 97) / 1024)}`,
    figure: (all - few) / 1024,
    goal: { atMost: 64 },
    unit: 'MiB',
  });
  return rows;
}

function listDevices(count: number, times: number, options: readonly string[]): { taken: number[]; memory: number } {
  const args = [join(import.meta.dirname, 'dump-process.js'), String(count), String(times), ...options];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { env: cleanEnvironment(), encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as { taken: number[]; memory: number };
}
