/** Everything is checked before anything is done, changes are made in a workable order, and what fails halfway is undone. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { vdpa, type Outcome } from '../support/command-line.js';
import { checkOutput } from '../support/output-schemas.js';

const folder = mkdtempSync(join(tmpdir(), 'vdpa-plan-'));
const file = join(folder, 'state.json');

after(() => {
  rmSync(folder, { recursive: true });
});

function sim(line: string, faults = ''): Promise<Outcome> {
  return vdpa(`--sim ${line}`, { env: { VDPA_SIM_STATE: join(folder, 'sim.json'), VDPA_SIM_FAULTS: faults } });
}

const CARD = 'pci/0000:03:00.2';
const OTHER = 'pci/0000:03:00.3';
const features = ['MAC', 'MTU', 'MQ', 'CTRL_VQ', 'VERSION_1', 'ACCESS_PLATFORM'];

beforeEach(async () => {
  const card = { supported_classes: ['net'], max_supported_vqs: 17, dev_features: features };
  const machine = join(folder, 'machine.json');
  writeFileSync(
    machine,
    JSON.stringify({ mgmtdev: { [CARD]: card, [OTHER]: card, vdpasim_net: {}, vdpasim_blk: {}, vduse: {} } }),
  );
  assert.equal((await sim(`sim init ${machine}`)).status, 0);
});

function write(...devices: readonly object[]): void {
  writeFileSync(file, JSON.stringify({ version: 1, devices }, null, 1));
}

async function names(): Promise<string[]> {
  return Object.keys((JSON.parse((await sim('-j dev show')).stdout) as { dev: object }).dev);
}

/** A plan that is rejected as a whole, with every reason, with dry_run too. Returns the reasons without their locations. */
async function refused(words = ''): Promise<string[]> {
  const before = await sim('save');
  const applied = await sim(`apply ${file}${words}`);
  assert.deepEqual([applied.status, applied.stdout], [1, '']);
  assert.deepEqual(await sim(`apply ${file}${words} dry_run`), applied);
  assert.deepEqual(await sim('save'), before);
  const json = await sim(`-j apply ${file}${words}`);
  checkOutput('apply', json.stdout);
  const told = JSON.parse(json.stdout) as { changed: boolean; refused: string[] };
  assert.deepEqual([told.changed, `${told.refused.join('\n')}\n`], [false, applied.stderr]);
  return told.refused.map((reason) => reason.replace(/^.*?state\.json: line \d+ /, ''));
}

test('an impossible plan is rejected as a whole, with every reason', async () => {
  await sim('dev add mgmtdev vdpasim_net name old0 mac 02:00:00:00:00:01');
  await sim('dev add mgmtdev vduse name ram0 size 64M');
  write(
    { name: 'good0', mgmtdev: 'vdpasim_net' },
    {
      name: 'big0',
      mgmtdev: CARD,
      max_vqp: 99,
      device_features: ['HASH_REPORT', 'MAC', 'VERSION_1', 'ACCESS_PLATFORM'],
    },
    { name: 'second0', mgmtdev: OTHER },
    { name: 'third0', mgmtdev: OTHER },
    { name: 'same0', mgmtdev: 'vdpasim_net', mac: '02:00:00:00:00:01' },
    { name: 'blk0', mgmtdev: 'vdpasim_blk', mtu: 1500 },
    { name: 'lacks0', mgmtdev: 'vdpasim_net', mac: '02:00:00:00:00:09', device_features: ['VERSION_1'] },
    { name: 'none0', mgmtdev: 'nowhere' },
    { name: 'ram0', mgmtdev: 'vduse', server: { size: '128M' } },
  );
  assert.deepEqual(await refused(), [
    `(/devices/1/max_vqp) ${CARD} has 17 virtqueues: 99 pairs need 198`,
    `(/devices/1/device_features) ${CARD} does not offer HASH_REPORT`,
    '(/devices/1/device_features) lacks MQ, which max_vqp requires',
    `(/devices/3/mgmtdev) ${OTHER} supports only one device; in use by second0`,
    '(/devices/4/mac) 02:00:00:00:00:01 is already the address of old0',
    '(/devices/5/mtu) is only supported for net devices, which vdpasim_blk does not provide',
    '(/devices/6/device_features) lacks MAC, which mac requires',
    '(/devices/7/mgmtdev) no such management device: nowhere',
    'vdpa: replace ram0: Device or resource busy (EBUSY). Its data is in memory and would be lost. Save the data, then use "force"',
  ]);
});

test('a file or TAP interface of another server is rejected before any change, unless both only read it', async () => {
  await sim('dev add mgmtdev vduse name old0 path /srv/a.img size 1M');
  await sim('dev add mgmtdev vduse name old1 path /srv/r.img size 1M readonly');
  await sim('dev add mgmtdev vduse name old2 type net ifname tap0');
  const mgmtdev = 'vduse';
  write(
    { name: 'new0', mgmtdev, server: { path: '/srv/a.img', size: '1M' } },
    { name: 'new1', mgmtdev, server: { path: '/srv/b.img', size: '1M' } },
    { name: 'new2', mgmtdev, server: { path: '/srv/b.img', size: '1M', readonly: true } },
    { name: 'new3', mgmtdev, server: { path: '/srv/r.img', size: '1M', readonly: true } },
    { name: 'new4', mgmtdev, server: { path: '/srv/r.img', size: '1M' } },
    { name: 'new5', mgmtdev, type: 'net', server: { ifname: 'tap0' } },
    { name: 'new6', mgmtdev, type: 'net', server: { ifname: 'tap1' } },
    { name: 'new7', mgmtdev, type: 'net', server: { ifname: 'tap1' } },
  );
  assert.deepEqual(await refused(), [
    '(/devices/0/server/path) /srv/a.img is in use by the server of old0',
    '(/devices/2/server/path) /srv/b.img is in use by the server of new1',
    '(/devices/4/server/path) /srv/r.img is in use by the server of new3',
    '(/devices/5/server/ifname) tap0 is in use by the server of old2',
    '(/devices/7/server/ifname) tap1 is in use by the server of new6',
  ]);
  write({ name: 'new0', mgmtdev, server: { path: '/srv/a.img', size: '1M' } });
  assert.match((await sim(`apply ${file} prune dry_run`)).stdout, /^- old0\n\+ new0 /);
});

test('an impossible plan deletes nothing, and a slot that becomes free can be used', async () => {
  await sim(`dev add mgmtdev ${CARD} name old0`);
  write({ name: 'm1', mgmtdev: CARD, max_vqp: 99 });
  assert.deepEqual(await refused(' prune'), [`(/devices/0/max_vqp) ${CARD} has 17 virtqueues: 99 pairs need 198`]);
  write({ name: 'm1', mgmtdev: CARD, max_vqp: 2 });
  assert.deepEqual(await refused(), [`(/devices/0/mgmtdev) ${CARD} supports only one device; in use by old0`]);
  assert.match((await sim(`apply ${file} prune`)).stdout, /^- old0\n\+ m1 .*\n2 changes made\.\n$/);
});

test('a device that matches is not checked against what could be created now', async () => {
  await sim(`dev add mgmtdev ${CARD} name m1 mac 02:00:00:00:00:01`);
  await sim('dev add mgmtdev vdpasim_net name twin0 mac 02:00:00:00:00:01');
  const saved = await sim('save');
  writeFileSync(file, saved.stdout);
  assert.deepEqual(await sim(`apply ${file} prune`), { status: 0, stdout: 'Nothing to change.\n', stderr: '' });
  await sim('dev del twin0');
  assert.deepEqual(await refused(), ['(/devices/1/mac) 02:00:00:00:00:01 is already the address of m1']);
  assert.match((await sim(`apply ${file} force`)).stdout, /^\+ twin0 .*\n1 change made\.\n$/);
});

test('deletions come last, except those that make room for new devices', async () => {
  await sim('dev add mgmtdev vdpasim_net name idle0');
  await sim('dev add mgmtdev vdpasim_net name mac0 mac 02:00:00:00:00:02');
  await sim(`dev add mgmtdev ${CARD} name card0`);
  await sim('dev add mgmtdev vduse name disk0 path /srv/disk.img size 1M');
  write(
    { name: 'new0', mgmtdev: 'vdpasim_net' },
    { name: 'new1', mgmtdev: 'vdpasim_net', mac: '02:00:00:00:00:02' },
    { name: 'new2', mgmtdev: CARD },
    { name: 'disk1', mgmtdev: 'vduse', server: { path: '/srv/disk.img', size: '1M' } },
  );
  const plan = await sim(`apply ${file} prune dry_run`);
  const order = (text: string): string[] => text.split('\n').map((line) => line.split(' ').slice(0, 2).join(' '));
  const expected = ['+ new0', '- mac0', '+ new1', '- card0', '+ new2', '- disk0', '+ disk1', '- idle0'];
  assert.deepEqual(order(plan.stdout).slice(0, 8), expected);
  const made = await sim(`apply ${file} prune`);
  assert.equal(made.stdout, plan.stdout.replace('to make', 'made'));
});

test('devices that swap addresses: a cycle is rejected, a chain is not', async () => {
  await sim(`dev add mgmtdev ${CARD} name a0`);
  await sim(`dev add mgmtdev ${OTHER} name b0`);
  write({ name: 'a0', mgmtdev: OTHER }, { name: 'b0', mgmtdev: CARD });
  assert.match((await refused()).join(), /^\(\/devices\/\d\/mgmtdev\) it needs what .0 has, and .0 needs what it has/);
  write({ name: 'a0', mgmtdev: OTHER }, { name: 'b0', mgmtdev: 'vdpasim_net' });
  const { stdout } = await sim(`apply ${file}`);
  assert.match(stdout, /^! b0 mgmtdev .*\n! a0 mgmtdev .*\n2 changes made\.\n$/);
});

test('a failed replacement is restored', async () => {
  await sim('dev add mgmtdev vdpasim_net name foo0 mac 02:00:00:00:00:05 mtu 1500');
  const before = await sim('save');
  write({ name: 'foo0', mgmtdev: 'vdpasim_net', mtu: 9000 }, { name: 'foo1', mgmtdev: 'vdpasim_net' });
  const failed = await sim(`apply ${file}`, 'dev add device foo0 errno ENOSPC times 1');
  assert.deepEqual(failed, {
    status: 1,
    stdout:
      '! foo0 mtu 1500 -> 9000  (failed)\n+ foo1 mgmtdev vdpasim_net  (not started)\n' +
      '0 of 2 changes made; run the command again to continue.\n',
    stderr: 'kernel answers: No space left on device\nfoo0 was restored.\n',
  });
  assert.deepEqual(await sim('save'), before);
});

test('a failed replacement that cannot be restored is reported as deleted', async () => {
  await sim('dev add mgmtdev vdpasim_net name foo0 mtu 1500');
  write({ name: 'foo0', mgmtdev: 'vdpasim_net', mtu: 9000 });
  const { status, stdout, stderr } = await sim(`-j apply ${file}`, 'dev add device foo0 errno ENOSPC');
  assert.equal(status, 1);
  checkOutput('apply', stdout);
  assert.match(
    stderr,
    /^kernel answers: No space left on device\nfoo0 was deleted and could not be restored: .*ENOSPC\)\n$/,
  );
  const told = JSON.parse(stdout) as { changed: boolean; error: string };
  assert.deepEqual([told.changed, told.error], [true, stderr.trimEnd()]);
  assert.deepEqual(await names(), []);
});

test('devices deleted for a change that fails are restored, with their servers', async () => {
  await sim(`dev add mgmtdev ${CARD} name old0 mac 02:00:00:00:00:06 max_vqp 2`);
  await sim('dev add mgmtdev vduse name disk0 path /srv/disk.img size 1M queues 2 serial S1');
  const before = JSON.parse((await sim('save')).stdout) as { devices: { name: string }[] };
  write({ name: 'new0', mgmtdev: CARD });
  const failed = await sim(`-j apply ${file} prune`, 'dev add device new0 errno EIO');
  checkOutput('apply', failed.stdout);
  assert.match(failed.stderr, /^kernel answers: Input\/output error\nold0 was restored\.\n$/);
  const { changed, changes } = JSON.parse(failed.stdout) as {
    changed: boolean;
    changes: { name: string; outcome: string }[];
  };
  assert.equal(changed, false);
  assert.deepEqual(
    changes.map(({ name, outcome }) => `${name} ${outcome}`),
    ['old0 undone', 'new0 failed', 'disk0 left'],
  );
  write(
    { name: 'disk1', mgmtdev: 'vduse', server: { path: '/srv/disk.img', size: '1M' } },
    { name: 'old0', mgmtdev: CARD },
  );
  const served = await sim(`apply ${file} prune`, 'dev add device disk1 errno EIO');
  assert.match(served.stderr, /\ndisk0 was restored\.\n$/);
  const { devices } = JSON.parse((await sim('save')).stdout) as { devices: { name: string }[] };
  const byName = (one: { name: string }, other: { name: string }): number => (one.name < other.name ? -1 : 1);
  assert.deepEqual(devices.sort(byName), before.devices.sort(byName));
});
