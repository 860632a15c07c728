import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { transform } from 'esbuild';
import { checkoutRoot } from '../../lab/cache.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { attach, bash, detach, diskOf, start, until } from '../support/kernel/servers/vduse.js';

const { test } = testsWith(VDUSE);

test('the device of docs/vduse.md serves what it says', async () => {
  const document = readFileSync(join(checkoutRoot, 'docs/vduse.md'), 'utf8');
  const example = /```ts\n([^]*?)```/.exec(document)?.[1];
  assert.ok(example);
  assert.ok(example.split('\n').length < 30);
  const library = new URL('../../src/vduse/index.js', import.meta.url).href;
  const { code } = await transform(example.replace('vdpa/vduse', library), { loader: 'ts' });
  writeFileSync('/tmp/numbered.mjs', code);
  const serving = start('sh', '-c', 'echo $$ > /tmp/numbered.pid; exec node /tmp/numbered.mjs');
  await until('it is there', () => existsSync('/dev/vduse/numbered0'));
  // The queues are set up a moment after the node is there.
  await until('it can be attached', () =>
    attach('numbered0').then(
      () => true,
      () => false,
    ),
  );
  const disk = await diskOf('numbered0');
  assert.equal(await bash(`dd if=${disk} bs=512 skip=1234 count=1 status=none | tr -d '\\0'`), 'sector 1234\n');
  assert.equal(await bash(`blockdev --getro --getsize64 ${disk}`), '1\n1048576\n');
  await detach('numbered0');
  process.kill(Number(readFileSync('/tmp/numbered.pid', 'utf8')), 'SIGTERM');
  assert.deepEqual(await serving, { status: 0, stdout: '', stderr: '' });
  assert.ok(!existsSync('/dev/vduse/numbered0'));
});
