/** Measurements on the lab's kernel, compared with iproute2: prints the table's rows as JSON. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { batchOfDevices, linesFor } from './batch.js';
import { cleanEnvironment, medianTimes, timeOf, type Command } from './measure.js';
import { milliseconds, type Row } from './report.js';
import { measureSimulation } from './sim.js';

const env = cleanEnvironment();
const folder = '/run';
const rounds = 10;

console.log(JSON.stringify([...measureSimulation(folder), ...measureBatch(1000), ...measureList(500)]));

function measureBatch(count: number): Row[] {
  const file = join(folder, 'batch');
  writeFileSync(file, batchOfDevices(count));
  const loop = ['sh', '-c', `while read -r line; do vdpa-iproute2 $line; done <${file}`];
  const theirs = timeOf(loop, env);
  const [ours = 0] = medianTimes([['vdpa', '-b', file]], 5, env);
  return [
    {
      what: `${count} adds, ${count} shows, ${count} deletes in a batch, on a kernel`,
      ours: milliseconds(ours),
      against: `a shell loop over iproute2's tool ${milliseconds(theirs)}`,
      figure: theirs / ours,
      goal: { atLeast: 15 },
      unit: 'times as fast',
    },
  ];
}

function measureList(count: number): Row[] {
  const file = join(folder, 'adds');
  writeFileSync(file, linesFor('add', count).join(''));
  timeOf(['vdpa', '-b', file], env);
  return [[], ['-j']].map((options): Row => {
    const commands: Command[] = [
      ['node', '-e', '0'],
      ['vdpa', ...options, 'dev', 'show'],
      ['vdpa-iproute2', ...options, 'dev', 'show'],
    ];
    const [bare = 0, ours = 0, theirs = 0] = medianTimes(commands, rounds, env);
    return {
      what: `\`${['dev show', ...options].join(' ')}\` of ${count} devices, on a kernel, less Node's own start`,
      ours: `${milliseconds(ours - bare)} (${milliseconds(ours)} − ${milliseconds(bare)})`,
      against: `iproute2 ${milliseconds(theirs)}`,
      figure: (ours - bare) / theirs,
      goal: { atMost: 1 },
    };
  });
}
