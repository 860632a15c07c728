import { readFileSync } from 'node:fs';

/** Whether this process runs inside the lab, on its User-Mode Linux. */
export const isInsideLab = (): boolean => readFileSync('/proc/cpuinfo', 'utf8').includes('User Mode Linux');

/** The tests of test/kernel/ add and delete devices: on a machine that has some, they must not run by accident. */
if (!isInsideLab()) {
  throw new Error('Tests of test/kernel/ run inside the lab: npm test, or npm run lab -- node --test FILE');
}
