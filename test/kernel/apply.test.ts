import '../support/kernel/inside.js';
import assert from 'node:assert/strict';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { VdpaBus } from '../../src/sysfs/bus.js';
import { VdpaClient } from '../../src/vdpa/client.js';
import { applyChanges } from '../../src/host/state/apply.js';
import { readActualDevices } from '../../src/host/state/actual.js';
import { planChanges } from '../../src/host/state/plan.js';
import { readWantedState } from '../../src/host/state/wanted.js';
import { json, output, vdpa } from '../support/command-line.js';
import { SIMULATORS, testsWith } from '../support/kernel/needs.js';
import { checkDocument, checkOutput } from '../support/output-schemas.js';

const { afterEach, test } = testsWith(...SIMULATORS);

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

test('what is saved comes again after all is gone, drivers and block devices too', async () => {
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

test('a dry run shows the plan and does nothing of it', async () => {
  await output('dev add mgmtdev vdpasim_net name old0');
  write([{ name: 'new0', mgmtdev: 'vdpasim_net' }]);
  assert.equal(await output(`apply ${file} dry_run prune`), '- old0\n+ new0 mgmtdev vdpasim_net\n2 changes to make.\n');
  assert.deepEqual(await names(), ['old0']);
  checkDocument('apply', await json(`apply ${file} dry_run prune`));
  assert.deepEqual(await json(`apply ${file} dry_run`), {
    changed: true,
    dry_run: true,
    changes: [{ action: 'add', name: 'new0', outcome: 'planned' }],
  });
});

test('a failure half-way tells what was done, and saying it again goes on', async () => {
  await output('dev add mgmtdev vdpasim_net name used0 mtu 1500 driver vhost');
  write([
    { name: 'a0', mgmtdev: 'vdpasim_net' },
    { name: 'used0', mgmtdev: 'vdpasim_net', mtu: 9000, driver: 'vhost' },
    { name: 'b0', mgmtdev: 'vdpasim_net' },
  ]);
  const holder = openSync('/dev/vhost-vdpa-0', 'r+');
  const { status, stdout, stderr } = await vdpa(`-j apply ${file}`);
  closeSync(holder);
  // This process is the holder, whom it does not name; the kernel says it all the same.
  assert.match(stderr, /^vdpa: delete used0: Device or resource busy/);
  assert.equal(status, 1);
  checkOutput('apply', stdout);
  const told = JSON.parse(stdout) as { changed: boolean; changes: { name: string; outcome: string }[]; error: string };
  assert.equal(told.changed, true);
  assert.deepEqual(
    told.changes.map(({ name, outcome }) => [name, outcome]),
    [
      ['a0', 'done'],
      ['used0', 'failed'],
      ['b0', 'left'],
    ],
  );
  assert.match(told.error, /in use/);
  assert.deepEqual(await names(), ['used0', 'a0']);
  assert.equal(await output(`apply ${file}`), '! used0 mtu 1500 -> 9000\n+ b0 mgmtdev vdpasim_net\n2 changes made.\n');
  assert.equal(await output(`apply ${file}`), 'Nothing to change.\n');
});

test('a device that does not come as it was wanted does not stay', async () => {
  write([{ name: 'blk0', mgmtdev: 'vdpasim_blk', device_features: ['VERSION_1', 'ACCESS_PLATFORM'] }]);
  const { status, stderr } = await vdpa(`apply ${file}`);
  assert.equal(status, 1);
  assert.match(stderr, /vdpasim_blk makes it otherwise: device_features is .*, not VERSION_1,ACCESS_PLATFORM/);
  assert.deepEqual(await names(), []);
});

test('a file with a mistake changes nothing', async () => {
  write([
    { name: 'a0', mgmtdev: 'vdpasim_net' },
    { name: 'b0', mgmtdev: 'nothing' },
  ]);
  const { status, stderr } = await vdpa(`apply ${file}`);
  assert.equal(status, 1);
  assert.equal(stderr, '/tmp/state.json: line 10 (/devices/1/mgmtdev) there is no management device nothing\n');
  assert.deepEqual(await names(), []);
});

test('the same from the library', async () => {
  const client = await VdpaClient.open();
  const bus = new VdpaBus();
  const wanted = readWantedState('{"version": 1, "devices": [{"name": "a0", "mgmtdev": "vdpasim_net"}]}', 'wanted');
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
