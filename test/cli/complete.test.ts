import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import DevAdd from '../../src/commands/dev/add.js';
import { GenlFamilyNotFoundError } from '../../src/netlink/error.js';
import { Errno } from '../../src/sys/errno.js';
import { vdpa } from '../support/command-line.js';
import { TestMachine } from '../support/test-machine.js';

const machine = new TestMachine();
await machine.vdpa('dev add mgmtdev vdpasim_net name foo0');
await machine.vdpa('dev add mgmtdev vdpasim_blk name blk0');
await machine.vdpa(['dev', 'add', 'mgmtdev', 'vdpasim_net', 'name', 'a b"é']);
await machine.vdpa(['dev', 'add', 'mgmtdev', 'vdpasim_net', 'name', 'new\nline']);

/** The candidates for the last word of a line; a blank at its end starts a new word. */
async function candidates(line: string): Promise<string[]> {
  const { status, stdout, stderr } = await machine.vdpa(['__complete', ...line.split(' ')]);
  assert.deepEqual([status, stderr], [0, '']);
  return stdout
    .split('\n')
    .slice(0, -1)
    .map((candidate) => candidate.split('\t')[0] ?? '');
}

for (const [line, ...expected] of [
  ['mg', 'mgmtdev'],
  ['mgmtdev ', 'show', 'help'],
  ['nothing '],
  ['dev sh', 'show'],
  ['d c ', 'show', 'help'],
  ['-jp dev -d conf', 'config'],
  ['dev show ', 'foo0', 'blk0', 'a b"é', 'driver', 'netdev', 'block', 'vhost', 'mgmtdev'],
  ['dev show mgmtdev vdpasim_', 'vdpasim_net', 'vdpasim_blk'],
  ['dev show foo0 '],
  ['d l foo', 'foo0'],
  ['dev del b', 'blk0'],
  ['dev del blk0 ', 'force'],
  ['mgmtdev show ', 'vdpasim_net', 'vdpasim_blk', 'vduse'],
  ['dev vstats show ', 'foo0', 'blk0', 'a b"é'],
  ['dev vstats show foo0 ', 'qidx'],
  ['dev vstats show foo0 qidx '],
  ['dev vstats show foo0 qidx 0 '],
  ['dev add ', ...Object.keys(DevAdd.keywords)],
  ['dev add n foo1 m', 'mgmtdev', 'mac', 'mtu', 'max_vqp', 'mode'],
  ['dev add n foo1 m vdu', 'vduse'],
  ['dev add name x type ', 'net', 'block'],
  ['dev add junk x '],
  ['dev set name ', 'foo0', 'blk0', 'a b"é'],
  ['dev set name foo0 ', 'mac'],
  ['dev show --pr', '--pretty'],
  ['dev show -- --pr'],
  ['--junk dev '],
  ['-o '],
  ['tree -o ', 'json', 'mermaid', 'dot'],
  ['dev stats show -o o', 'openmetrics'],
  ['dev bench foo0 rw rand', 'randread', 'randwrite', 'randrw'],
  ['dev test foo0 only susp', 'suspend', 'suspend-stops', 'suspend-state-under-load', 'suspend-resume'],
  ['dev bench -o ', 'openmetrics', 'svg'],
  ['-jo '],
  ['tree --output=', '--output=json', '--output=mermaid', '--output=dot'],
  ['tree -om', '-omermaid'],
  ['dev show --color=a', '--color=always', '--color=auto'],
  ['--sim='],
  ['--junk='],
] as const) {
  test(`completions of "vdpa ${line}"`, async () => {
    assert.deepEqual(await candidates(line), expected);
  });
}

test('files and folders are completed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'vdpa-files-'));
  try {
    writeFileSync(join(folder, 'machine.json'), '');
    mkdirSync(join(folder, 'more'));
    assert.deepEqual(await candidates(`sim init ${folder}/m`), [`${folder}/machine.json`, `${folder}/more/`]);
    assert.deepEqual(await candidates(`sim init ${folder}/more/`), []);
    assert.deepEqual(await candidates(`sim init ${folder}/none/`), []);
    for (const line of [
      ...['save', 'restore', 'apply', '-b', '-f -b', '--batch', '-jb', 'dev add mgmtdev vduse name x path'],
      'vduse serve name x path',
    ]) {
      assert.deepEqual(await candidates(`${line} ${folder}/m`), [`${folder}/machine.json`, `${folder}/more/`], line);
    }
    assert.deepEqual(await candidates(`apply ${folder}/machine.json `), ['dry_run', 'prune', 'force']);
    assert.deepEqual(await candidates(`apply ${folder}/machine.json prune f`), ['force']);
    assert.deepEqual(await candidates(`restore ${folder}/machine.json `), ['wait']);
    assert.deepEqual(await candidates(`save ${folder}/machine.json `), []);
    assert.deepEqual(await candidates(`-b ${folder}/machine.json `), []);
    for (const option of ['--batch=', '--ba=', '-batch=', '-b', '-fb']) {
      const words = [`${option}${folder}/machine.json`, `${option}${folder}/more/`];
      assert.deepEqual(await candidates(`${option}${folder}/m`), words);
    }
    symlinkSync(join(folder, 'more'), join(folder, 'link'));
    symlinkSync('nowhere', join(folder, 'lost'));
    assert.deepEqual(await candidates(`apply ${folder}/l`), [`${folder}/link/`, `${folder}/lost`]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('"~/" is the home folder where the shell treats it as such', async () => {
  const home = mkdtempSync(join(tmpdir(), 'vdpa-home-'));
  try {
    writeFileSync(join(home, 'state.json'), '');
    const complete = async (...words: string[]): Promise<string> =>
      (await machine.vdpa(['__complete', ...words], { env: { HOME: home } })).stdout;
    assert.equal(await complete('apply', '~/s'), '~/state.json\t\n');
    assert.equal(await complete('-b', '~/'), '~/state.json\t\n');
    assert.equal(await complete('--batch=~/'), '');
    assert.equal(await complete('apply', '~nobody/'), '');
  } finally {
    rmSync(home, { recursive: true });
  }
});

test('candidates have a description', async () => {
  const { stdout } = await machine.vdpa(['__complete', 'dev', 'f']);
  assert.equal(stdout, 'features\tfeatures of vDPA devices\n');
  assert.match((await machine.vdpa(['__complete', 'dev', 'show', 'fo'])).stdout, /^foo0\ton vdpasim_net\n$/);
});

test('every word of the tree and every option has a description', async () => {
  for (const line of ['', 'dev ', 'dev stats ', '-']) {
    const { stdout } = await machine.vdpa(['__complete', ...line.split(' ')]);
    assert.match(stdout, /^(\S+\t\S.*\n)+$/);
  }
});

test('without a kernel, commands are still completed, and there are no names', async () => {
  const openTransport = (): never => {
    throw new GenlFamilyNotFoundError('vdpa', { operation: 'look', errno: Errno.ENOENT });
  };
  assert.deepEqual(await vdpa(['__complete', 'dev', 'show', ''], { openTransport }), {
    status: 0,
    stdout: '',
    stderr: '',
  });
  assert.equal((await vdpa(['__complete', 'dev', 'v'], { openTransport })).stdout.split('\t')[0], 'vstats');
  assert.equal((await vdpa(['__complete'], { openTransport })).status, 0);
});
