import { testsWith, VDUSE } from '../../../support/kernel/lab/needs.js';
import { loadsOf, verifyDisk } from '../../../support/kernel/drivers/smp-disk.js';

const { test } = testsWith(VDUSE);

for (const queues of [2, 4]) {
  test(`fio from both processors on a disk of ${queues} queues, for five minutes: no error`, async (context) => {
    await verifyDisk(context, queues, loadsOf([1, 2, 4, 8, 16, 32]), 300);
  });
}
