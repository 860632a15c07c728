import { failPower } from '../../../support/kernel/servers/power-failures.js';
import { testsWith, VDUSE } from '../../../support/kernel/lab/needs.js';

const { test } = testsWith(VDUSE);

test('100 power failures of the disk below: what was flushed is there', async (context) => {
  await failPower(context, 100, Date.now() % 2 ** 31);
});
