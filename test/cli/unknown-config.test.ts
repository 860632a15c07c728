/** Devices whose configuration the kernel does not report: its list ends at the first of them. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { vdpa, type Outcome } from '../support/command-line.js';

const folder = mkdtempSync(join(tmpdir(), 'vdpa-unknown-'));
const file = join(folder, 'state.json');
const machine = join(folder, 'machine.json');
const CRYPTO = 'pci/0000:01:00.0';
const secret =
  'The features of crypto0 are not saved: the kernel does not report the configuration of devices of class 20\n';

after(() => {
  rmSync(folder, { recursive: true });
});

function sim(line: string, faults = ''): Promise<Outcome> {
  return vdpa(`--sim ${line}`, { env: { VDPA_SIM_STATE: join(folder, 'sim.json'), VDPA_SIM_FAULTS: faults } });
}

const net = (index: number): object => ({
  name: `foo${index}`,
  mgmtdev: 'vdpasim_net',
  mac: `02:00:00:00:00:0${index}`,
  mtu: 9000,
  device_features: ['MTU', 'MAC', 'VERSION_1', 'ACCESS_PLATFORM'],
});

beforeEach(async () => {
  const mgmtdev = {
    [CRYPTO]: { supported_classes: [20], max_supported_vqs: 4, dev_features: ['VERSION_1', 'ACCESS_PLATFORM'] },
    vdpasim_net: {},
  };
  writeFileSync(machine, JSON.stringify({ mgmtdev }));
  assert.equal((await sim(`sim init ${machine}`)).status, 0);
  assert.equal((await sim(`dev add mgmtdev ${CRYPTO} name crypto0`)).status, 0);
  writeFileSync(file, JSON.stringify({ version: 1, devices: [1, 2, 3].map(net) }));
  assert.equal((await sim(`apply ${file}`)).status, 0);
});

test('apply: devices after one that is neither net nor block are not created again', async () => {
  const again = await sim(`apply ${file}`);
  assert.deepEqual(again, { status: 0, stdout: 'Nothing to change.\n', stderr: '' });
});

test('the list of configurations is the kernel’s; features are shown for every device that has any', async () => {
  assert.deepEqual(await sim('dev config show'), { status: 0, stdout: '', stderr: '' });
  const { stdout } = await sim('-j dev features show');
  assert.deepEqual(Object.keys((JSON.parse(stdout) as { features: object }).features), ['foo1', 'foo2', 'foo3']);
});

test('save: all reported settings are saved, and what the kernel does not report is named, with status 1', async () => {
  const { status, stdout, stderr } = await sim('save');
  assert.equal(status, 1);
  assert.equal(stderr, secret);
  const { devices } = JSON.parse(stdout) as { devices: { name: string; mac?: string; mtu?: number }[] };
  assert.deepEqual(
    devices.map(({ name, mac, mtu }) => [name, mac, mtu]),
    [['crypto0', undefined, undefined], ...[1, 2, 3].map((index) => [`foo${index}`, `02:00:00:00:00:0${index}`, 9000])],
  );
  writeFileSync(file, stdout);
  assert.equal((await sim(`apply ${file}`)).stdout, 'Nothing to change.\n');
  await sim('sim reset');
  assert.match((await sim(`restore ${file}`)).stdout, /\n4 changes made\.\n$/);
});

test('save: an unreadable configuration is reported, and the old file is kept', async () => {
  writeFileSync(file, 'old');
  const faults = 'dev config show device foo2 errno EIO';
  const refused = await sim(`save ${file}`, faults);
  assert.deepEqual([refused.status, refused.stdout], [1, '']);
  assert.match(
    refused.stderr,
    /The configuration of foo2 is not saved: .*Input\/output error \(EIO\)\n.* was not changed\.\n$/,
  );
  assert.equal(readFileSync(file, 'utf8'), 'old');
  const printed = await sim('save', faults);
  assert.equal(printed.status, 1);
  assert.match(printed.stdout, /"foo3",\n.*\n.*\n.*"02:00:00:00:00:03"/);
});

test('apply: an unknown setting of a device is not a difference', async () => {
  const other = { ...net(2), mac: '02:00:00:00:00:22', mtu: 1500 };
  writeFileSync(file, JSON.stringify({ version: 1, devices: [net(1), other, net(3)] }));
  const blind = await sim(`apply ${file}`, 'dev config show device foo2 errno EIO');
  assert.deepEqual(blind, { status: 0, stdout: 'Nothing to change.\n', stderr: '' });
});

test('a device that vanishes halfway does not affect the others', async () => {
  const left = async (faults: string): Promise<Outcome & { names: string[] }> => {
    const saved = await sim('save', faults);
    const { devices } = JSON.parse(saved.stdout) as { devices: { name: string; mtu?: number }[] };
    return { ...saved, names: devices.filter(({ mtu }) => mtu === 9000).map(({ name }) => name) };
  };
  // It vanishes when it is requested by name, and then right after it is listed.
  const byName = await left('dev config show device foo2 vanish errno ENODEV');
  assert.deepEqual([byName.stderr, byName.names], [secret, ['foo1', 'foo3']]);
  await sim('dev del crypto0');
  const listed = await left('dev config show device foo1 vanish');
  assert.deepEqual([listed.status, listed.stderr], [0, '']);
  assert.ok(listed.names.includes('foo3'));
  assert.deepEqual(Object.keys((JSON.parse((await sim('-j dev show')).stdout) as { dev: object }).dev), ['foo3']);
});
