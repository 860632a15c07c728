import '../../support/kernel/lab/inside.js';
import { MachineTwins } from '../../support/kernel/lab/machine-twins.js';
import { SIMULATORS, VDUSE, needsMachine, testsWith } from '../../support/kernel/lab/needs.js';

const { test } = testsWith(VDUSE, ...SIMULATORS);

test('1,000 sequences of commands and writes: the same files, events, output', needsMachine('uml'), async (context) => {
  const twins = await MachineTwins.start();
  await twins.runAll(0, 1000, (text) => {
    context.diagnostic(text);
  });
});
