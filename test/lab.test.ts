import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { describe, test } from 'node:test';
import { kernelTestFiles } from './support/kernel/lab/files.js';
import { runInside } from './support/kernel/lab/run-inside.js';
import { chosenMachine, machines, needsLab, problemOf, theLab } from './support/lab.js';

const pattern = process.env['VDPA_TEST_PATTERN'] ?? '';
const files = kernelTestFiles({
  pattern: 'test/lab.test.ts'.includes(pattern) ? '' : pattern,
  machine: chosenMachine,
  long: process.env['VDPA_TEST_LONG'] === '1',
});

/** How many guests run at a time: one with two processors uses as much of the host as two with one. */
const half = Math.max(1, Math.floor(availableParallelism() / 2));
const guests = { uml: availableParallelism(), qemu: half, debian: half };

for (const machine of machines) {
  const own = files.filter((file) => file.machine === machine);
  if (own.length === 0) continue;
  describe(`in the lab, on ${machine}`, { concurrency: guests[machine], ...needsLab(machine) }, () => {
    test('everything that npm test sets up is available', () => {
      assert.equal(problemOf(machine), '');
    });
    for (const { source, path } of own) {
      test(`${source} on ${machine}`, async (context) => {
        await runInside(theLab(machine), path, context);
      });
    }
  });
}
