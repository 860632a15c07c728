import { testsWith, VDUSE } from '../../../support/kernel/lab/needs.js';
import { killUnderLoad } from '../../../support/kernel/drivers/smp-disk.js';

const { test } = testsWith(VDUSE);

test('20 servers killed under fio from both processors: no error', async (context) => {
  await killUnderLoad(context, 20, Math.floor(Date.now() / 86_400_000));
});
