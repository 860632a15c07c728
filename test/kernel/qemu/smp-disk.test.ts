import { testsWith, VDUSE } from '../../support/kernel/lab/needs.js';
import { killUnderLoad, loadsOf, verifyDisk } from '../../support/kernel/drivers/smp-disk.js';

const { test } = testsWith(VDUSE);

for (const queues of [2, 4]) {
  test(`fio from both processors on a disk of ${queues} queues, for half a minute: no error`, async (context) => {
    await verifyDisk(context, queues, loadsOf([1, 8, 32]), 30);
  });
}

test('3 servers killed under fio from both processors: no error', async (context) => {
  await killUnderLoad(context, 3, Math.floor(Date.now() / 86_400_000));
});
