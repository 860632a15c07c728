/** `vdpa dev show` on the simulation compared with the same on the kernel's socket: whole processes, in turn. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { linesFor } from './batch.js';
import { cleanEnvironment, medianTimesOf, timeOf } from './measure.js';
import { milliseconds, type Row } from './report.js';

const rounds = 30;

/** Measures without devices, with few and with many; they are deleted afterwards. @param folder for files of the measurement */
export function measureSimulation(folder: string): Row[] {
  const machines = [cleanEnvironment(), cleanEnvironment({ VDPA_SIM: '1', VDPA_SIM_STATE: join(folder, 'sim.json') })];
  const file = join(folder, 'lines');
  const everywhere = (lines: readonly string[]): void => {
    writeFileSync(file, lines.join(''));
    for (const env of machines) timeOf(['vdpa', '-b', file], env);
  };
  let made = 0;
  const rows = [0, 10, 200].map((count): Row => {
    everywhere(linesFor('add', count).slice(made));
    made = count;
    const shows = machines.map((env) => ({ command: ['vdpa', 'dev', 'show'], env }));
    const [socket = 0, simulated = 0] = medianTimesOf(shows, rounds);
    return {
      what: `\`vdpa --sim dev show\` of ${count} devices`,
      ours: milliseconds(simulated),
      against: `on the kernel's socket ${milliseconds(socket)}`,
      figure: simulated / socket,
      goal: { atMost: 1.1 },
    };
  });
  everywhere(linesFor('del', made));
  return rows;
}
