import '../../support/kernel/lab/inside.js';
import { MachineTwins } from '../../support/kernel/lab/machine-twins.js';
import { pciTwins } from '../../support/kernel/lab/machine-pci.js';
import { SIMULATORS, testsWith, VDUSE, VP_VDPA } from '../../support/kernel/lab/needs.js';

const { test } = testsWith(VDUSE, VP_VDPA, ...SIMULATORS);

test('6 sequences, with devices whose virtio devices are below PCI functions', async (context) => {
  const twins = await MachineTwins.start(await pciTwins());
  await twins.runAll(0, 6, (text) => {
    context.diagnostic(text);
  });
});
