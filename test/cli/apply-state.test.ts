import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { vdpa, type Outcome } from '../support/command-line.js';
import { checkOutput } from '../support/output-schemas.js';

let folder: string;

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'vdpa-apply-'));
});

after(() => {
  rmSync(folder, { recursive: true });
});

const sim = (line: string): Promise<Outcome> =>
  vdpa(`--sim ${line}`, { env: { VDPA_SIM_STATE: join(folder, 'sim.json') } });

test('on the simulation: saved, deleted, restored, applied twice', async () => {
  for (const line of [
    'dev add mgmtdev vdpasim_net name foo0 mac 02:00:00:00:00:01 mtu 9000',
    'dev add mgmtdev vdpasim_blk name blk0',
  ]) {
    assert.equal((await sim(line)).status, 0);
  }
  const saved = await sim('save');
  assert.equal(saved.status, 0, saved.stderr);
  const file = join(folder, 'saved.json');
  writeFileSync(file, saved.stdout);
  for (const name of ['foo0', 'blk0']) await sim(`dev del ${name}`);
  const restored = await sim(`restore ${file}`);
  assert.match(restored.stdout, /^\+ foo0 .*\n\+ blk0 .*\n2 changes made\.\n$/);
  assert.equal((await sim(`apply ${file} prune`)).stdout, 'Nothing to change.\n');
  assert.equal((await sim('save')).stdout, saved.stdout);
});

test('unknown drivers and unreadable files are rejected', async () => {
  const file = join(folder, 'driver.json');
  const device = { name: 'a', mgmtdev: 'vdpasim_net', driver: 'nosuch' };
  writeFileSync(file, JSON.stringify({ version: 1, devices: [device] }));
  const refused = await sim(`apply ${file}`);
  assert.equal(refused.status, 1);
  assert.match(
    refused.stderr,
    /^.*driver\.json: line 1 \(\/devices\/0\/driver\) driver nosuch is not registered on the vdpa bus/,
  );
  for (const line of [
    'apply',
    'restore',
    'apply /nowhere',
    `apply ${folder}`,
    `apply ${file} now`,
    `restore ${file} x`,
  ]) {
    assert.equal((await sim(line)).status, 1, line);
  }
});

test('on the simulation: servers of VDUSE devices are saved, shown, restored and deleted', async () => {
  const machine = join(folder, 'servers.json');
  writeFileSync(machine, JSON.stringify({ mgmtdev: { vduse: {} } }));
  await sim(`sim init ${machine}`);
  for (const line of [
    'dev add mgmtdev vduse name foo0 serve',
    'dev add mgmtdev vduse name disk0 path /srv/disk0.img size 64M queues 4 block_size 4096 readonly user nobody',
    'dev add mgmtdev vduse name net0 type net ifname tap7 mac 02:00:00:00:00:01 mtu 9000',
  ]) {
    assert.deepEqual(await sim(line), { status: 0, stdout: '', stderr: '' }, line);
  }
  const shown = await sim('-j vduse show');
  checkOutput('vduse-show', shown.stdout);
  assert.deepEqual(Object.keys((JSON.parse(shown.stdout) as { vduse: object }).vduse), ['disk0', 'foo0', 'net0']);
  assert.equal(
    (await sim('vduse show foo0')).stdout,
    'foo0: server vdpa type block backend ram size 67108864 block_size 512 readonly false state running attached true ' +
      'deleted false features 0x330006646 queue_size 256\n' +
      '  queue: 0 state running requests 0 bytes_in 0 bytes_out 0 errors 0 interrupts 0\n',
  );
  const saved = await sim('save');
  assert.equal(saved.stderr, '');
  checkOutput('save', (await sim('-j save')).stdout);
  const file = join(folder, 'vduse.json');
  writeFileSync(file, saved.stdout);
  assert.equal((await sim(`apply ${file} prune`)).stdout, 'Nothing to change.\n');
  for (const name of ['foo0', 'disk0', 'net0']) {
    assert.deepEqual(await sim(`vduse del ${name}`), { status: 0, stdout: '', stderr: '' });
  }
  assert.equal((await sim('vduse show')).stdout, '');
  assert.match((await sim(`restore ${file}`)).stdout, /\n3 changes made\.\n$/);
  assert.equal((await sim('save')).stdout, saved.stdout);
  const devices = [
    { name: 'disk0', mgmtdev: 'vduse', server: { path: '/srv/disk0.img', queues: 2 } },
    { name: 'foo0', mgmtdev: 'vduse', server: { size: '1G' } },
  ];
  writeFileSync(file, JSON.stringify({ version: 1, devices }));
  const lossy = await sim(`apply ${file} prune`);
  assert.match(lossy.stderr, /^vdpa: replace foo0: .*Its data is in memory/);
  assert.equal(lossy.stdout, '');
  assert.deepEqual(await sim(`apply ${file} prune dry_run`), lossy);
  assert.equal((await sim('save')).stdout, saved.stdout);
  assert.equal(
    (await sim(`apply ${file} prune force`)).stdout,
    '! disk0 queues 4 -> 2\n! foo0 size 67108864 -> 1073741824\n- net0\n3 changes made.\n',
  );
});

test('on the simulation: VDUSE devices of other programs, and invalid requests', async () => {
  const machine = join(folder, 'machine.json');
  const theirs = { mgmtdev: { vduse: {} }, vduse: { vd0: { type: 'block', capacity: 2048 } } };
  writeFileSync(machine, JSON.stringify(theirs));
  await sim(`sim init ${machine}`);
  assert.equal((await sim('vduse show')).stdout, 'vd0: server another program attached false\n');
  await sim('dev add mgmtdev vduse name vd0');
  assert.match((await sim('save')).stderr, /^Warning: the server of vd0 is not saved: it is served by another program/);
  const kept = await sim('vduse del vd0');
  assert.deepEqual(
    [kept.status, kept.stderr],
    [1, 'vdpa: destroy the VDUSE instance vd0: Device or resource busy (EBUSY)\n'],
  );
  assert.equal((await sim('vduse show vd0')).stdout, 'vd0: server another program attached false\n');
  assert.match((await sim('vduse del nosuch')).stderr, /No VDUSE instance named nosuch/);
  assert.match((await sim('vduse show nosuch')).stderr, /No VDUSE instance named nosuch/);
  assert.match((await sim('vduse show a/b')).stderr, /contains a character that is not allowed in a file name/);
  assert.match(
    (await sim('vduse serve name x')).stderr,
    /^Not supported by the simulated machine, which has no data to serve: use /,
  );
});
