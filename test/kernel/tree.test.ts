import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { json, output } from '../support/command-line.js';
import { SIMULATORS, testsWith, VDUSE } from '../support/kernel/lab/needs.js';

const { after, before, test } = testsWith(VDUSE, ...SIMULATORS);

before(async () => {
  await output('dev add mgmtdev vdpasim_net name foo0 driver vhost');
  await output('dev add mgmtdev vdpasim_blk name blk0');
  await output('dev add mgmtdev vdpasim_blk name blk1');
  await output('dev unbind blk1');
});

after(async () => {
  for (const name of ['foo0', 'blk0', 'blk1']) await output(`dev del ${name}`);
});

test('the tree of a machine', async () => {
  assert.equal(
    await output('tree'),
    [
      'vdpasim_net (net)',
      '└── foo0 (net)',
      '    └── vhost_vdpa',
      '        └── /dev/vhost-vdpa-0',
      'vdpasim_blk (block)',
      '├── blk0 (block)',
      '│   └── virtio_vdpa',
      '│       └── /dev/vda',
      '└── blk1 (block)',
      'vduse (net block)',
      '',
    ].join('\n'),
  );
  assert.deepEqual(await json('tree'), JSON.parse(await output('tree -o json')));
  assert.equal(await output('-p tree -o json'), await output('-jp tree'));
  assert.match(await output('tree -o mermaid'), /^flowchart LR\n {2}n0\["vdpasim_net<br>net"\]\n/);
  assert.match(await output('tree -o dot'), /^digraph vdpa \{\n[^]*n2 -> n3;\n[^]*\}\n$/);
});

test('tables and colors', async () => {
  assert.match(await output('dev show --table -d'), /│ blk1 +│ block +│ vdpasim_blk │/);
  assert.ok((await output('-c dev show foo0')).startsWith('\x1b[36mfoo0\x1b[39m: type network '));
});
