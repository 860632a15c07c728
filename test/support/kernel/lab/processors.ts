import './inside.js';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

interface Ticks {
  readonly all: number;
  readonly idle: number;
}

/** What /proc/stat counts for each processor: proc(5). */
const ticks = (): Ticks[] =>
  [...readFileSync('/proc/stat', 'latin1').matchAll(/^cpu\d+ (.*)$/gm)].map(([, numbers = '']) => {
    const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, ...others] = numbers.split(' ').map(Number);
    const all = [user, nice, system, idle, iowait, ...others.slice(0, 3)].reduce((sum, each) => sum + each, 0);
    return { all, idle: idle + iowait };
  });

/** Measures how busy the processors are from now on. @returns a function to call at the end: the share of each, from 0 to 1 */
export function watchProcessors(): () => number[] {
  const before = ticks();
  return () =>
    ticks().map(({ all, idle }, index) => {
      const was = before[index] ?? assert.fail(`processor ${index} was not there`);
      return 1 - (idle - was.idle) / Math.max(1, all - was.all);
    });
}
