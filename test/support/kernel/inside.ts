import { readFileSync } from 'node:fs';
import { beforeEach } from 'node:test';
import { setImmediate } from 'node:timers/promises';

/** Whether this process runs inside the lab, on its User-Mode Linux. */
export const isInsideLab = (): boolean => readFileSync('/proc/cpuinfo', 'utf8').includes('User Mode Linux');

/** The tests of test/kernel/ add and delete devices: on a machine that has some, they must not run by accident. */
if (!isInsideLab()) {
  throw new Error('Tests of test/kernel/ run inside the lab: npm test, or npm run lab -- node --test FILE');
}

// Tests that never wait for anything follow each other without a pause, in which the reporter could tell of them.
beforeEach(async () => {
  await setImmediate();
});
