import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkoutRoot } from '../lab/cache.js';
import { cleanEnvironment, medianTimes, timeOf } from './measure.js';
import { milliseconds, type Row } from './report.js';

const rounds = 5;

const writeLine = {
  add: (name: string) => `dev add name ${name} mgmtdev vdpasim_net\n`,
  show: (name: string) => `dev show ${name}\n`,
  del: (name: string) => `dev del ${name}\n`,
  addToVhost: (name: string) => `dev add name ${name} mgmtdev vdpasim_net driver vhost\n`,
  toVhost: (name: string) => `dev bind ${name} driver vhost\n`,
  toVirtio: (name: string) => `dev bind ${name} driver virtio\n`,
};

/** One line for each of this many devices. */
export function linesFor(what: keyof typeof writeLine, count: number): string[] {
  return Array.from({ length: count }, (_, index) => writeLine[what](`d${index}`));
}

/** Lines that add this many devices, show each, and delete each. */
export function batchOfDevices(count: number): string {
  return [...linesFor('add', count), ...linesFor('show', count), ...linesFor('del', count)].join('');
}

/** A batch on the simulation, whose state is a file. */
export function measureBatch(folder: string): Row[] {
  const count = 1000;
  const file = join(folder, 'batch');
  writeFileSync(file, batchOfDevices(count));
  const env = cleanEnvironment({ VDPA_SIM_STATE: join(folder, 'batch.json') });
  const program = join(checkoutRoot, 'bin/vdpa.js');
  const commands = [['-b'], ['-j', '-b']].map((options) => [process.execPath, program, '--sim', ...options, file]);
  const [text = 0, json = 0] = medianTimes(commands, rounds, env);
  const row = (what: string, time: number): Row => ({
    what: `${count} adds, ${count} shows, ${count} deletes in a batch${what}, simulation`,
    ours: milliseconds(time),
    against: '',
    figure: time / 1000,
    goal: { atMost: 1 },
    unit: 's',
  });
  return [row('', text), row(', JSON', json), ...measureBinding(folder)];
}

/** Drivers of devices on the simulation: each round binds them there and back, or adds and deletes them. */
function measureBinding(folder: string): Row[] {
  const count = 1000;
  const env = cleanEnvironment({ VDPA_SIM: '1', VDPA_SIM_STATE: join(folder, 'binding.json') });
  const batch = (...what: readonly (keyof typeof writeLine)[]): readonly string[] => {
    const file = join(folder, what.join('-'));
    writeFileSync(file, what.flatMap((word) => linesFor(word, count)).join(''));
    return [process.execPath, join(checkoutRoot, 'bin/vdpa.js'), '-b', file];
  };
  const [added = 0] = medianTimes([batch('addToVhost'), batch('del')], rounds, env);
  timeOf(batch('add'), env);
  const [bound = 0] = medianTimes([batch('toVhost'), batch('toVirtio')], rounds, env);
  const row = (what: string, time: number): Row => ({
    what: `${count} ${what} in a batch, simulation`,
    ours: milliseconds(time),
    against: '',
    figure: time / 1000,
    goal: { atMost: 2 },
    unit: 's',
  });
  return [row('binds to vhost', bound), row('adds with `driver vhost`', added)];
}
