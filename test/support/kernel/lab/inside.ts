import { beforeEach } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { machineHere } from './machine-here.js';

/** The tests of test/kernel/ add and delete devices: on a machine that has some, they must not run by accident. */
if (machineHere() === undefined) {
  throw new Error('Tests of test/kernel/ run inside the lab: npm test, or npm run lab -- node --test FILE');
}

// The lab's commands have it, and programs that tests start would inherit it.
delete process.env['VDPA_VDUSE_SERVE'];

// Tests that never wait for anything follow each other without a pause, in which the reporter could tell of them.
beforeEach(async () => {
  await setImmediate();
});
