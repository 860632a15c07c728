import '../../../support/kernel/lab/inside.js';
import { MachineTwins } from '../../../support/kernel/lab/machine-twins.js';
import { pciTwins } from '../../../support/kernel/lab/machine-pci.js';
import { SIMULATORS, testsWith, VDUSE, VP_VDPA } from '../../../support/kernel/lab/needs.js';

const { test } = testsWith(VDUSE, VP_VDPA, ...SIMULATORS);

test('300 sequences, with devices whose virtio devices are below PCI functions', async (context) => {
  const twins = await MachineTwins.start(await pciTwins());
  await twins.runAll(0, 300, (text) => {
    context.diagnostic(text);
  });
});
