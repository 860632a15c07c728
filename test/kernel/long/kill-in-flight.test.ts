import { killInFlight } from '../../support/kernel/drivers/kill-in-flight.js';
import { testsWith, VDUSE } from '../../support/kernel/lab/needs.js';
import { loopDisk } from '../../support/kernel/servers/loop-disk.js';

const { test } = testsWith(VDUSE, 'fio', 'losetup');

for (const packed of ['off', 'on']) {
  test(`packed ${packed}, 200 servers killed with requests in flight: no error, every block verified`, async (context) => {
    const lower = await loopDisk(context, '/tmp/in-flight', 32);
    await killInFlight(context, lower, 200, Date.now() % 2 ** 31, ` packed ${packed}`);
  });
}
