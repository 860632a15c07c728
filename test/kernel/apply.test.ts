import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { VdpaBus } from '../../src/sysfs/bus.js';
import { VdpaClient } from '../../src/vdpa/client.js';
import { applyChanges } from '../../src/host/state/apply.js';
import { readActualDevices } from '../../src/host/state/actual.js';
import { planChanges } from '../../src/host/state/plan.js';
import { readDesiredState } from '../../src/host/state/desired.js';
import { json, output, vdpa } from '../support/command-line.js';
import { SIMULATORS, testsWith } from '../support/kernel/lab/needs.js';
import { start } from '../support/kernel/servers/vduse.js';
import { checkDocument, checkOutput } from '../support/output-schemas.js';

const { afterEach, test } = testsWith(...SIMULATORS);

const VDPA = '/run/bin/vdpa';
const file = '/tmp/state.json';

function write(devices: readonly object[]): void {
  writeFileSync(file, JSON.stringify({ version: 1, devices }, null, 2));
}

const names = async (): Promise<string[]> => Object.keys(((await json('dev show')) as { dev: object }).dev);

afterEach(async () => {
  write([]);
  await output(`apply ${file} prune`);
});

test('two hundred devices in one process, twice: the second time nothing changes', async () => {
  const devices = Array.from({ length: 200 }, (_, index) => ({
    name: `net${index}`,
    mgmtdev: 'vdpasim_net',
    mac: `02:00:00:00:00:${index.toString(16).padStart(2, '0')}`,
    mtu: 1400 + index,
    ...(index % 50 === 0 && { driver: 'vhost' }),
  }));
  write(devices);
  const first = (await json(`apply ${file}`)) as { changed: boolean; changes: { outcome: string }[] };
  assert.equal(first.changed, true);
  assert.equal(first.changes.length, 200);
  assert.ok(first.changes.every(({ outcome }) => outcome === 'done'));
  assert.deepEqual(await json(`apply ${file}`), { changed: false, dry_run: false, changes: [] });
  assert.deepEqual(await json(`apply ${file} prune`), { changed: false, dry_run: false, changes: [] });
  assert.equal((await names()).length, 200);
  assert.match(await output('-d dev show net50'), /driver vhost_vdpa/);
});

test('a saved state is restored after everything is deleted, with drivers and block devices', async () => {
  await output('dev add mgmtdev vdpasim_net name foo0 mac 02:00:00:00:00:01 mtu 9000 driver vhost');
  await output('dev add mgmtdev vdpasim_blk name blk0');
  await output('dev add mgmtdev vdpasim_net name bare');
  await output('dev unbind bare');
  const saved = await output('save');
  const before = await output('-d dev config show');
  for (const name of await names()) await output(`dev del ${name}`);
  writeFileSync(file, saved);
  assert.match(await output(`restore ${file}`), /\n3 changes made\.\n$/);
  assert.equal(await output('save'), saved);
  const compact = await output('-j save');
  checkOutput('save', compact);
  assert.deepEqual(JSON.parse(compact), JSON.parse(saved));
  assert.equal(await output('-d dev config show'), before);
  assert.equal(await output(`restore ${file}`), 'Nothing to change.\n');
});

test('owner and mode of a node: applied, saved, changed while a program has it open, restored', async () => {
  const access = (name: string): readonly number[] => {
    const node = new VdpaBus().device(name)?.vhost ?? '';
    const { uid, gid, mode } = statSync(`/dev/${node}`);
    return [uid, gid, mode & 0o777];
  };
  const device = { name: 'vm0', mgmtdev: 'vdpasim_net', mac: '02:00:00:00:00:01', driver: 'vhost' };
  const given = { owner: 'nobody', group: '65534', mode: '660' };
  write([
    { ...device, ...given },
    { ...device, name: 'vm1', mac: '02:00:00:00:00:02' },
  ]);
  assert.match(await output(`apply ${file}`), /^\+ vm0 .* driver vhost_vdpa owner nobody group nogroup mode 0660$/m);
  assert.deepEqual(access('vm0'), [65534, 65534, 0o660]);
  assert.deepEqual(access('vm1'), [0, 0, 0o600]);
  assert.equal(await output(`apply ${file}`), 'Nothing to change.\n');

  const saved = await output('save');
  const { devices } = JSON.parse(saved) as { devices: object[] };
  const words = devices.map((entry) =>
    ['owner', 'group', 'mode'].map((key) => (entry as Record<string, unknown>)[key]),
  );
  assert.deepEqual(words, [
    ['nobody', 'nogroup', '0660'],
    [undefined, undefined, undefined],
  ]);
  for (const name of await names()) await output(`dev del ${name}`);
  writeFileSync(file, saved);
  await output(`restore ${file}`);
  assert.deepEqual(access('vm0'), [65534, 65534, 0o660]);
  assert.equal(await output(`apply ${file} prune`), 'Nothing to change.\n');

  // A program that has it open is not disturbed.
  const open = openSync(`/dev/${new VdpaBus().device('vm0')?.vhost ?? ''}`, 'r+');
  write([{ ...device, owner: 'root', mode: '0600' }]);
  const difference = '~ vm0 owner nobody -> root mode 0660 -> 0600\n1 change made.\n';
  assert.equal(await output(`apply ${file}`), difference);
  closeSync(open);
  assert.deepEqual(access('vm0'), [0, 65534, 0o600]);

  for (const [words, reason] of [
    [{ owner: 'nosuchuser' }, '/devices/0/owner) unknown user "nosuchuser"'],
    [{ group: 'nosuchgroup' }, '/devices/0/group) unknown group "nosuchgroup"'],
    [{ mode: '0999' }, '/devices/0/mode) must match'],
    [{ mode: '0600', driver: 'virtio' }, '/devices/0/mode) requires driver vhost'],
  ] as const) {
    write([{ ...device, ...words }]);
    for (const line of [`apply ${file}`, `apply ${file} dry_run`]) {
      const { status, stderr } = await vdpa(line);
      assert.equal(status, 1, line);
      assert.ok(stderr.includes(reason), stderr);
    }
  }
  assert.deepEqual(access('vm0'), [0, 65534, 0o600]);
});

test('a dry run shows the plan and changes nothing', async () => {
  await output('dev add mgmtdev vdpasim_net name old0');
  write([{ name: 'new0', mgmtdev: 'vdpasim_net' }]);
  assert.equal(await output(`apply ${file} dry_run prune`), '+ new0 mgmtdev vdpasim_net\n- old0\n2 changes to make.\n');
  assert.deepEqual(await names(), ['old0']);
  checkDocument('apply', await json(`apply ${file} dry_run prune`));
  assert.deepEqual(await json(`apply ${file} dry_run`), {
    changed: true,
    dry_run: true,
    changes: [{ action: 'add', name: 'new0', outcome: 'planned' }],
  });
});

test('a device in use: the whole plan is rejected before any change, also with dry_run', async () => {
  await output('dev add mgmtdev vdpasim_net name used0 mtu 1500 driver vhost');
  await output('dev add mgmtdev vdpasim_net name moved0 driver vhost');
  write([
    { name: 'a0', mgmtdev: 'vdpasim_net' },
    { name: 'used0', mgmtdev: 'vdpasim_net', mtu: 9000, driver: 'vhost' },
    { name: 'moved0', mgmtdev: 'vdpasim_net', driver: 'virtio' },
  ]);
  const holders = ['used0', 'moved0'].map((name) => openSync(`/dev/${new VdpaBus().device(name)?.vhost ?? ''}`, 'r+'));
  const refused = await vdpa(`-j apply ${file}`);
  const dry = await vdpa(`apply ${file} dry_run`);
  for (const holder of holders) closeSync(holder);
  // This process is the holder, which is not named; the kernel reports the device as busy anyway.
  assert.match(
    refused.stderr,
    /^vdpa: delete used0: Device or resource busy .*in use.*\nvdpa: bind moved0 to virtio_vdpa: Device or resource busy .*in use.*\n$/,
  );
  assert.equal(refused.status, 1);
  assert.deepEqual(dry, { status: 1, stdout: '', stderr: refused.stderr });
  checkOutput('apply', refused.stdout);
  assert.equal((JSON.parse(refused.stdout) as { changed: boolean }).changed, false);
  assert.deepEqual((await names()).sort(), ['moved0', 'used0']);
  assert.match(await output(`apply ${file}`), /! used0 mtu 1500 -> 9000\n~ moved0 driver .*\n3 changes made\.\n$/);
  assert.equal(await output(`apply ${file}`), 'Nothing to change.\n');
});

test('a failure halfway reports what was done, and a second run continues', async () => {
  const otherwise = { name: 'blk0', mgmtdev: 'vdpasim_blk', device_features: ['VERSION_1', 'ACCESS_PLATFORM'] };
  const [first, last] = [
    { name: 'a0', mgmtdev: 'vdpasim_net' },
    { name: 'b0', mgmtdev: 'vdpasim_net' },
  ];
  write([first, otherwise, last]);
  const { status, stdout, stderr } = await vdpa(`-j apply ${file}`);
  assert.match(stderr, /^vdpa: add blk0: .*vdpasim_blk created it differently/);
  assert.equal(status, 1);
  checkOutput('apply', stdout);
  const told = JSON.parse(stdout) as { changed: boolean; changes: { name: string; outcome: string }[]; error: string };
  assert.equal(told.changed, true);
  assert.deepEqual(
    told.changes.map(({ name, outcome }) => [name, outcome]),
    [
      ['a0', 'done'],
      ['blk0', 'failed'],
      ['b0', 'left'],
    ],
  );
  assert.match(told.error, /created it differently/);
  assert.deepEqual(await names(), ['a0']);
  write([first, last]);
  assert.equal(await output(`apply ${file}`), '+ b0 mgmtdev vdpasim_net\n1 change made.\n');
  assert.equal(await output(`apply ${file}`), 'Nothing to change.\n');
});

test('a failed replacement is restored, with its driver and address', async () => {
  await output('dev add mgmtdev vdpasim_net name foo0 mac 02:00:00:00:00:01 mtu 9000 driver vhost');
  const before = await output('save');
  const otherwise = { name: 'foo0', mgmtdev: 'vdpasim_blk', device_features: ['VERSION_1', 'ACCESS_PLATFORM'] };
  write([otherwise]);
  const { status, stdout, stderr } = await vdpa(`apply ${file}`);
  assert.equal(status, 1);
  assert.match(stdout, /^! foo0 mgmtdev vdpasim_net -> vdpasim_blk .*\(failed\)\n0 of 1 changes made/);
  assert.match(stderr, /created it differently.*\nfoo0 was restored\.\n$/);
  assert.equal(await output('save'), before);
});

test('two at the same time: one waits, and each device is made once', async () => {
  write(Array.from({ length: 50 }, (_, index) => ({ name: `net${index}`, mgmtdev: 'vdpasim_net' })));
  const both = await Promise.all([start(VDPA, 'apply', file), start(VDPA, 'apply', file)]);
  assert.deepEqual(
    both.map(({ status, stdout }) => [status, stdout.split('\n').at(-2)]).sort(),
    [
      [0, '50 changes made.'],
      [0, 'Nothing to change.'],
    ],
    both.map(({ stderr }) => stderr).join(),
  );
  assert.equal((await names()).length, 50);
});

test('a signal between two changes: nothing is lost, and a second run continues', async () => {
  const devices = Array.from({ length: 100 }, (_, index) => ({ name: `net${index}`, mgmtdev: 'vdpasim_net' }));
  write(devices);
  await output(`apply ${file}`);
  write(devices.map((device) => ({ ...device, mtu: 9000 })));
  const child = spawn(VDPA, ['apply', file], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    // As soon as the first one is reported.
    if (stdout === '') child.kill('SIGINT');
    stdout += part;
  });
  const [status] = (await once(child, 'close')) as [number];
  assert.equal((await names()).length, 100);
  const done = Number(/^(\d+) (?:of 100 )?changes made/m.exec(stdout)?.[1]);
  assert.equal(status, done === 100 ? 0 : 130);
  assert.match(await output(`apply ${file}`), done === 100 ? /^Nothing/ : new RegExp(`\\n${100 - done} changes made`));
});

test('save FILE, and restore of what can be restored', async () => {
  await output('dev add mgmtdev vdpasim_net name foo0 mac 02:00:00:00:00:01');
  await output(`save ${file}`);
  assert.equal(readFileSync(file, 'utf8'), await output('save'));
  const late = { name: 'late0', mgmtdev: 'pci/0000:99:00.0' };
  write([late, { name: 'foo1', mgmtdev: 'vdpasim_net' }]);
  const { status, stdout, stderr } = await vdpa(`restore ${file} wait 1`);
  assert.equal(status, 1);
  assert.equal(stdout, '+ foo1 mgmtdev vdpasim_net\n1 change made; not restored: late0.\n');
  assert.match(stderr, /^Waiting for up to 1 s: (.* no such management device: pci\/0000:99:00\.0\n)\/.*\1?/);
});

test('a device that is not created as requested is deleted', async () => {
  write([{ name: 'blk0', mgmtdev: 'vdpasim_blk', device_features: ['VERSION_1', 'ACCESS_PLATFORM'] }]);
  const { status, stderr } = await vdpa(`apply ${file}`);
  assert.equal(status, 1);
  assert.match(stderr, /vdpasim_blk created it differently: device_features is .*, not VERSION_1,ACCESS_PLATFORM/);
  assert.deepEqual(await names(), []);
});

test('a file with a mistake changes nothing', async () => {
  write([
    { name: 'a0', mgmtdev: 'vdpasim_net' },
    { name: 'b0', mgmtdev: 'nothing' },
  ]);
  const { status, stderr } = await vdpa(`apply ${file}`);
  assert.equal(status, 1);
  assert.equal(stderr, '/tmp/state.json: line 10 (/devices/1/mgmtdev) no such management device: nothing\n');
  assert.deepEqual(await names(), []);
});

test('the same from the library', async () => {
  const client = await VdpaClient.open();
  const bus = new VdpaBus();
  const wanted = readDesiredState('{"version": 1, "devices": [{"name": "a0", "mgmtdev": "vdpasim_net"}]}', 'wanted');
  const plan = async (): Promise<ReturnType<typeof planChanges>> =>
    planChanges(
      wanted,
      await readActualDevices(client, bus),
      { managementDevices: await client.managementDevices(), drivers: bus.drivers() },
      { prune: false },
    );
  const result = await applyChanges(client, bus, await plan());
  assert.equal(result.failed, undefined);
  assert.deepEqual(await plan(), []);
  await client.close();
});
