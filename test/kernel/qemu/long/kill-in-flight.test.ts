import { killInFlight } from '../../../support/kernel/drivers/kill-in-flight.js';
import { testsWith, VDUSE } from '../../../support/kernel/lab/needs.js';
import { NullDisk } from '../../../support/kernel/servers/null-disk.js';

const { test } = testsWith(VDUSE, 'fio');

for (const packed of ['off', 'on']) {
  test(`packed ${packed}, 200 servers killed with requests of a slow disk in flight: every block verified`, async (context) => {
    const lower = await NullDisk.create('waits', { mebibytes: 32, microseconds: 1000 });
    context.after(() => lower.remove());
    await killInFlight(context, lower.path, 200, Date.now() % 2 ** 31, ` packed ${packed}`);
  });
}
