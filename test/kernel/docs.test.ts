/** Examples of docs/: each command that is followed by its output is run, and prints that output. */
import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkoutRoot } from '../../lab/cache.js';
import { startFrom } from '../support/kernel/lab/compare.js';
import { readExamples } from '../support/examples.js';
import { RunningExample } from '../support/kernel/lab/examples.js';
import { SIMULATORS, testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { bash } from '../support/kernel/servers/vduse.js';

const { test } = testsWith(VDUSE, ...SIMULATORS);

interface Page {
  /** The minimum number of examples. */
  readonly examples: number;
  /** Command lines that create the devices it uses. */
  readonly given?: readonly string[];
  /** Lines of bash after these, and at the end. */
  readonly before?: string;
  readonly after?: string;
  readonly variables?: NodeJS.ProcessEnv;
}

const net = 'dev add mgmtdev vdpasim_net name';
const block = 'dev add mgmtdev vdpasim_blk name';

const pages: Readonly<Record<string, Page>> = {
  completions: { examples: 2, given: [`${net} foo0`] },
  drivers: {
    examples: 2,
    given: [`${net} foo0 driver vhost`, `${block} blk0`],
    before: 'mkfs.ext4 -q -O ^has_journal /dev/vda; mount /dev/vda /mnt',
    after: 'umount /mnt',
  },
  host: { examples: 1, given: [`${net} foo0 driver vhost`] },
  output: { examples: 2, given: [`${net} foo0`, `${net} foo1 driver vhost`, `${block} blk0`] },
  vduse: { examples: 1 },
  simulation: { examples: 1, variables: { VDPA_SIM: '1', VDPA_SIM_STATE: '/tmp/sim.json' } },
  trace: { examples: 1 },
};

mkdirSync('/tmp/docs');

for (const [name, { examples: count, given = [], before, after, variables }] of Object.entries(pages)) {
  test(`docs/${name}.md`, async () => {
    const text = readFileSync(join(checkoutRoot, `docs/${name}.md`), 'utf8');
    const blocks = [...text.matchAll(/^```console\n([^]*?)^```$/gm)].map(([, content = '']) => content.trimEnd());
    const examples = blocks.flatMap((content) => readExamples(content.split('\n')));
    const shown = examples.filter(({ output }) => output.length > 0);
    assert.ok(shown.length >= count, `${shown.length} examples with an output`);
    await startFrom(given);
    if (before !== undefined) await bash(before);
    try {
      for (const example of variables === undefined ? shown : examples) {
        await new RunningExample(example, '/tmp/docs', variables).finish();
      }
    } finally {
      if (after !== undefined) await bash(after);
      await startFrom([]);
    }
  });
}
