import { testsWith, VDUSE } from '../../../support/kernel/lab/needs.js';
import { killUnderLoad, loadsOf, verifyDisk } from '../../../support/kernel/drivers/smp-disk.js';

const { test } = testsWith(VDUSE);

for (const queues of [2, 4]) {
  test(`fio from both processors on a disk of ${queues} queues, for five minutes: no error`, async (context) => {
    await verifyDisk(context, queues, loadsOf([1, 2, 4, 8, 16, 32]), 300);
  });
}

test('20 servers killed under fio from both processors: no error', async (context) => {
  await killUnderLoad(context, 20, Math.floor(Date.now() / 86_400_000));
});
