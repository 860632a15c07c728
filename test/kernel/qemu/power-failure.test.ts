/** A disk whose power fails: what was flushed is there. */
import '../../support/kernel/lab/inside.js';
import { failPower } from '../../support/kernel/servers/power-failures.js';
import { testsWith, VDUSE } from '../../support/kernel/lab/needs.js';

const { test } = testsWith(VDUSE);

const FAILURES = Number(process.env['VDPA_POWER_FAILURES'] ?? 4);
const SEED = Number(process.env['VDPA_SEED'] ?? Math.floor(Date.now() / 86_400_000));

test(`${FAILURES} power failures of the disk below: what was flushed is there`, async (context) => {
  await failPower(context, FAILURES, SEED);
});
