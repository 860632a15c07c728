import { existsSync, readFileSync } from 'node:fs';
import { beforeEach } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { MachineKind } from '../../../lab/machine/machine.js';
import { isMachineKind } from '../../../lab/machine/machine.js';

/** The machine of the lab that this process runs inside, as lab/init.sh names it; undefined outside. */
export function machineHere(): MachineKind | undefined {
  const file = '/run/lab-machine';
  const word = existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
  return isMachineKind(word) ? word : undefined;
}

/** Whether this process runs inside the lab. */
export const isInsideLab = (): boolean => machineHere() !== undefined;

/** The tests of test/kernel/ add and delete devices: on a machine that has some, they must not run by accident. */
if (!isInsideLab()) {
  throw new Error('Tests of test/kernel/ run inside the lab: npm test, or npm run lab -- node --test FILE');
}

// Tests that never wait for anything follow each other without a pause, in which the reporter could tell of them.
beforeEach(async () => {
  await setImmediate();
});
