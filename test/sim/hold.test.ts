import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FileStore } from '../../src/sim/state/file-store.js';
import { vdpa, type Outcome } from '../support/command-line.js';

const folder = mkdtempSync(join(tmpdir(), 'vdpa-hold-'));
after(() => {
  rmSync(folder, { recursive: true });
});
const program = fileURLToPath(new URL('../../../bin/vdpa.js', import.meta.url));

/** A machine in a new file with these devices, and programs that use them. */
async function machine(context: TestContext, name: string, ...lines: string[]) {
  const env = { VDPA_SIM: '1', VDPA_SIM_STATE: join(folder, `${name}.json`) };
  const run = (line: string): Promise<Outcome> => vdpa(line, { env });
  for (const line of lines) assert.deepEqual(await run(line), { status: 0, stdout: '', stderr: '' }, line);
  const start = async (...args: string[]): Promise<ChildProcess> => {
    const child = spawn(process.execPath, [program, 'sim', 'hold', ...args], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    context.after(() => child.kill('SIGKILL'));
    const [text] = (await once(child.stderr, 'data')) as [Buffer];
    assert.match(text.toString(), /^Process [0-9]+ holds /);
    return child;
  };
  return { env, run, start };
}

test('a node that is held keeps its device, until the program ends', async (context) => {
  const { run, start, env } = await machine(
    context,
    'node',
    'dev add mgmtdev vdpasim_net name foo0 driver vhost',
    'dev add mgmtdev vdpasim_net name foo1 driver vhost',
  );
  const child = await start('foo0');
  const user = `process ${child.pid ?? 0} (vdpa) has /dev/vhost-vdpa-0 open`;
  for (const line of ['dev bind foo0 driver virtio', 'dev unbind foo0', 'dev del foo0']) {
    const { status, stderr } = await run(line);
    assert.equal(status, 1, line);
    assert.ok(stderr.includes('EBUSY') && stderr.includes(user), stderr);
  }
  const shown = (await run('-d dev show foo0')).stdout;
  assert.match(shown, new RegExp(`user: process pid ${child.pid ?? 0} command vdpa node /dev/vhost-vdpa-0`));
  const again = await run('sim hold vhost-vdpa-0 for 1');
  assert.deepEqual([again.status, again.stderr.includes('EBUSY')], [1, true]);
  assert.equal((await run('dev del foo1')).status, 0);
  child.kill('SIGTERM');
  await once(child, 'close');
  assert.deepEqual(new FileStore(env.VDPA_SIM_STATE).read().holders, []);
  assert.equal((await run('dev del foo0')).status, 0);
});

test('a program that is killed no longer counts', async (context) => {
  const { run, start } = await machine(context, 'killed', 'dev add mgmtdev vdpasim_net name foo0 driver vhost');
  const child = await start('/dev/vhost-vdpa-0');
  assert.equal((await run('dev del foo0')).status, 1);
  child.kill('SIGKILL');
  await once(child, 'close');
  assert.equal((await run('dev del foo0')).status, 0);
});

test('with force the kernel waits until the node is closed', async (context) => {
  const { env, run, start } = await machine(context, 'force', 'dev add mgmtdev vdpasim_net name foo0 driver vhost');
  await start('foo0', 'for', '1');
  const begun = performance.now();
  const child = spawn(process.execPath, [program, 'dev', 'del', 'foo0', 'force'], { env, stdio: 'ignore' });
  assert.deepEqual(await once(child, 'close'), [0, null]);
  assert.ok(performance.now() - begun > 300);
  assert.equal((await run('dev show')).stdout, '');
});

test('an interface that is up and a disk that is open are in use', async (context) => {
  const { run, start } = await machine(
    context,
    'parts',
    'dev add mgmtdev vdpasim_net name foo0',
    'dev add mgmtdev vdpasim_blk name blk0',
  );
  await start('foo0');
  await start('vda');
  assert.match((await run('dev unbind foo0')).stderr, /eth0 is up/);
  assert.match((await run('dev unbind blk0')).stderr, /has \/dev\/vda open/);
  const forced = await run('dev unbind foo0 force');
  assert.deepEqual([forced.status, forced.stderr], [0, 'Warning: eth0 is up.\n']);
  // Another interface of the same name is not in use.
  assert.equal((await run('dev bind foo0 driver virtio')).status, 0);
  assert.equal((await run('dev unbind foo0')).status, 0);
  assert.match((await run('sim hold foo0')).stderr, /ENODEV.*bind it to a driver/);
  assert.match((await run('sim hold nosuch')).stderr, /ENODEV/);
});
