/** Checks what the commands, and iproute2's, print on the real kernel against the schemas of output. */
import { existsSync } from 'node:fs';
import { vdpa } from '../support/command-line.js';
import { reference, startFrom } from '../support/kernel/lab/compare.js';
import { SIMULATORS, testsWith } from '../support/kernel/lab/needs.js';
import { checkOutput, schemaOf } from '../support/output-schemas.js';

const { test } = testsWith(...SIMULATORS);

const hasReference = existsSync('/run/bin/vdpa-iproute2');

/** Checks what a command prints, and what iproute2's prints if it has the command and supports JSON there. */
async function check(command: string, words = '', options = ''): Promise<void> {
  const line = `-j ${options}${command}${words}`;
  checkOutput(schemaOf(command), (await vdpa(line)).stdout);
  if (!hasReference || options !== '') return;
  const { stdout } = reference(line.split(' '));
  if (stdout !== '\n') checkOutput(schemaOf(command), stdout);
}

const states = {
  'no devices': [],
  'network devices': [
    'dev add mgmtdev vdpasim_net name foo0 mac 00:11:22:33:44:55 mtu 9000',
    'dev add mgmtdev vdpasim_net name foo1 device_features 0',
    'dev add mgmtdev vdpasim_net name foo2 driver vhost',
  ],
  'a block device and a network device': [
    'dev add mgmtdev vdpasim_blk name foo0',
    'dev add mgmtdev vdpasim_net name foo1',
  ],
} as const;

for (const [name, given] of Object.entries(states)) {
  test(`documents with ${name}`, async () => {
    await startFrom(given);
    for (const words of ['', ' vdpasim_net', ' vduse', ' nosuch', ' a/b/c']) await check('mgmtdev show', words);
    for (const words of ['', ' foo0', ' foo1', ' foo2', ' nosuch', ' a b c']) {
      for (const command of ['dev show', 'dev config show', 'dev features show', 'dev stats show']) {
        await check(command, words);
      }
      await check('dev show', words, '-d ');
    }
    for (const words of [
      ' foo0 qidx 0',
      ' foo0 qidx 1',
      ' foo0 qidx 2',
      ' foo0 qidx 9',
      ' foo0',
      '',
      ' nosuch qidx 0',
    ]) {
      await check('dev vstats show', words);
    }
    await check('host show');
    await check('tree');
  });
}

test('documents of commands that print nothing', async () => {
  await startFrom([]);
  for (const [command, words] of [
    ['dev add', ' mgmtdev vdpasim_net name foo0'],
    ['dev add', ' mgmtdev vdpasim_net name foo0'],
    ['dev set', ' name foo0 mac 02:00:00:00:00:01'],
    ['dev bind', ' foo0 driver vhost'],
    ['dev unbind', ' foo0'],
    ['dev unbind', ' nosuch'],
    ['dev del', ' foo0'],
    ['dev del', ' foo0'],
  ] as const) {
    await check(command, words);
  }
});
