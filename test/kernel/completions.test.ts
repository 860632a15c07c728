/** bash completes the names that exist on the real kernel, and prints nothing if there is no vDPA. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkoutRoot } from '../../lab/cache.js';
import { startFrom } from '../support/kernel/lab/compare.js';
import { needs, SIMULATORS, VDUSE } from '../support/kernel/lab/needs.js';

/** The candidates of bash for the last word of a line. */
function completions(line: string, wrapper: readonly string[] = []): string[] {
  const script = `. "$0"; COMP_LINE=$1; COMP_POINT=\${#1}; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    _vdpa vdpa; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const argv = [...wrapper, 'bash', '--norc', '-c', script, join(checkoutRoot, 'completions/vdpa.bash')];
  const [file = '', ...args] = [...argv, line, ...line.split(' ')];
  const { status, stdout, stderr } = spawnSync(file, args, { encoding: 'utf8' });
  assert.deepEqual([status, stderr], [0, '']);
  return stdout.split('\n').filter((candidate) => candidate !== '');
}

test('names of devices and management devices', needs('bash', VDUSE, ...SIMULATORS), async () => {
  await startFrom([
    'dev add mgmtdev vdpasim_net name foo0',
    ['dev', 'add', 'mgmtdev', 'vdpasim_net', 'name', 'foo bar'],
    ['dev', 'add', 'mgmtdev', 'vdpasim_net', 'name', '$(poweroff)'],
  ]);
  assert.deepEqual(completions('vdpa dev del '), ['foo0', 'foo\\ bar', '\\$\\(poweroff\\)']);
  assert.deepEqual(completions('vdpa -jp dev vstats show fo'), ['foo0', 'foo\\ bar']);
  assert.deepEqual(completions('vdpa mgmtdev show '), ['vdpasim_net', 'vdpasim_blk', 'vduse']);
  assert.deepEqual(completions('vdpa dev add name x m'), ['mgmtdev', 'mac', 'mtu', 'max_vqp', 'mode']);
});

test('file names, after everything that takes one', needs('bash'), () => {
  mkdirSync('/tmp/files/more', { recursive: true });
  for (const name of ['state.json', 'disk 1.img']) writeFileSync(`/tmp/files/${name}`, '');
  const all = ['/tmp/files/disk\\ 1.img', '/tmp/files/more/', '/tmp/files/state.json'];
  for (const line of ['restore', 'apply', '-b', '-f -b', 'sim init', 'dev add mgmtdev vduse name x path']) {
    assert.deepEqual(completions(`vdpa ${line} /tmp/files/`), all, line);
  }
  assert.deepEqual(completions('vdpa apply /tmp/files/state.json p'), ['prune']);
});

test('without vDPA in the kernel', needs('bash'), () => {
  assert.deepEqual(completions('vdpa dev del ', ['unshare', '--net']), []);
  assert.deepEqual(completions('vdpa dev de', ['unshare', '--net']), ['del']);
});
