import { testsWith, VDUSE } from '../../../support/kernel/lab/needs.js';
import { echoFromAll, transferBothWays } from '../../../support/kernel/drivers/smp-net.js';

const { test } = testsWith(VDUSE);

test('frames from both processors come back from a loopback device, each once, for two and a half minutes', async (context) => {
  await echoFromAll(context, 150);
});

test('files go both ways at the same time through a tap, and arrive unchanged, for two and a half minutes', async (context) => {
  await transferBothWays(context, 150);
});
