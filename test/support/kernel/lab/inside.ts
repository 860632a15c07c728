import { beforeEach } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { machineHere } from './machine-here.js';

/** The tests of test/kernel/ add and delete devices: they must not run by accident on a machine that has some. */
if (machineHere() === undefined) {
  throw new Error('Tests of test/kernel/ run inside the lab: npm test, or npm run lab -- node --test FILE');
}

// The lab sets it for commands, and programs that tests start would inherit it.
delete process.env['VDPA_VDUSE_SERVE'];

// Tests that never wait run without a pause in which the reporter could write.
beforeEach(async () => {
  await setImmediate();
});
