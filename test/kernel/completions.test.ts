/** bash completes the names that there are on the real kernel, and is quiet where there is no vDPA. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkoutRoot } from '../../lab/cache.js';
import { startFrom } from '../support/kernel/compare.js';
import { needs } from '../support/kernel/needs.js';

/** What bash offers for the last word of a line. */
function completions(line: string, wrapper: readonly string[] = []): string[] {
  const script = `. "$0"; COMP_LINE=$1; COMP_POINT=\${#1}; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    _vdpa vdpa; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const argv = [...wrapper, 'bash', '--norc', '-c', script, join(checkoutRoot, 'completions/vdpa.bash')];
  const [file = '', ...args] = [...argv, line, ...line.split(' ')];
  const { status, stdout, stderr } = spawnSync(file, args, { encoding: 'utf8' });
  assert.deepEqual([status, stderr], [0, '']);
  return stdout.split('\n').filter((candidate) => candidate !== '');
}

test('names of devices and management devices', needs('bash'), async () => {
  await startFrom([
    'dev add mgmtdev vdpasim_net name foo0',
    ['dev', 'add', 'mgmtdev', 'vdpasim_net', 'name', 'foo bar'],
    ['dev', 'add', 'mgmtdev', 'vdpasim_net', 'name', '$(poweroff)'],
  ]);
  assert.deepEqual(completions('vdpa dev del '), ['foo0', 'foo\\ bar', '\\$\\(poweroff\\)']);
  assert.deepEqual(completions('vdpa -jp dev vstats show fo'), ['foo0', 'foo\\ bar']);
  assert.deepEqual(completions('vdpa mgmtdev show '), ['vdpasim_net', 'vdpasim_blk', 'vduse']);
  assert.deepEqual(completions('vdpa dev add name x m'), ['mgmtdev', 'mac', 'mtu', 'max_vqp']);
});

test('without vDPA in the kernel', needs('bash'), () => {
  assert.deepEqual(completions('vdpa dev del ', ['unshare', '--net']), []);
  assert.deepEqual(completions('vdpa dev de', ['unshare', '--net']), ['del']);
});
