import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { vdpa, type Outcome } from '../support/command-line.js';

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

test('the simulation has no drivers to bind, and files that cannot be read are refused', async () => {
  const file = join(folder, 'driver.json');
  const device = { name: 'a', mgmtdev: 'vdpasim_net', driver: 'vhost' };
  writeFileSync(file, JSON.stringify({ version: 1, devices: [device] }));
  const refused = await sim(`apply ${file}`);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /^.*driver\.json: line 1 \(\/devices\/0\/driver\) the simulated machine has no drivers/);
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
