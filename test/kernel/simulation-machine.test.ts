import '../support/kernel/lab/inside.js';
import { MachineTwins } from '../support/kernel/lab/machine-twins.js';
import { SIMULATORS, needsMachine, testsWith } from '../support/kernel/lab/needs.js';

const { test } = testsWith(...SIMULATORS);

test('25 sequences of commands and writes: the same files, events, output', needsMachine('uml'), async (context) => {
  const twins = await MachineTwins.start();
  try {
    for (let seed = 0; seed < 25; seed++) await twins.run(seed);
  } finally {
    await twins.close();
  }
  context.diagnostic(`${twins.steps} steps, ${twins.events} events, ${twins.files} files`);
});
