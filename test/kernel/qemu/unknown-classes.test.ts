/** A device that is neither net nor block: the kernel does not report its configuration, and its list ends there. */
import '../../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { VdpaBus } from '../../../src/sysfs/bus.js';
import { json, output, vdpa } from '../../support/command-line.js';
import { ours, reference } from '../../support/kernel/lab/compare.js';
import { needs, testsWith, VP_VDPA } from '../../support/kernel/lab/needs.js';
import { bash, until } from '../../support/kernel/servers/vduse.js';
import { PCI } from '../../support/kernel/drivers/vp-vdpa.js';

const { afterEach, before, beforeEach, test } = testsWith(VP_VDPA);

const file = '/tmp/state.json';
/** In the order in which they are created: the first one hides the others from the list. */
const devices = [
  ['rng0', PCI.rng, 'virtio'],
  ['net0', PCI.netWithMtu, 'netdev'],
  ['disk0', PCI.block, 'block'],
] as const;
const secret =
  'The features of rng0 are not saved: the kernel does not report the configuration of devices of class 4\n';

before(async () => {
  await bash('bind-vp-vdpa');
});

beforeEach(async () => {
  for (const [name, address, part] of devices) {
    await output(`dev add mgmtdev pci/${address} name ${name}`);
    await until(`${name} has its ${part}`, () => new VdpaBus().device(name)?.[part] !== undefined);
  }
});

const names = async (): Promise<string[]> => Object.keys(((await json('dev show')) as { dev: object }).dev);

afterEach(async () => {
  for (const name of await names()) await output(`dev del ${name}`);
});

/** The virtio device of each, which changes when a device is recreated. */
const virtioDevices = (): (string | undefined)[] => devices.map(([name]) => new VdpaBus().device(name)?.virtio);

test(
  'show: the device is shown as by iproute2, and the list of configurations ends at it',
  needs('vdpa-iproute2'),
  async () => {
    for (const line of [
      'dev show',
      '-jp dev show',
      'dev config show',
      'dev config show rng0',
      'dev config show net0',
    ]) {
      const [theirs, own] = [reference(line.split(' ')), await ours(line.split(' '))];
      assert.deepEqual([own.status, own.stdout], [theirs.status, theirs.stdout], line);
    }
    assert.equal(reference(['dev', 'config', 'show']).stdout, '');
    const { features } = (await json('dev features show')) as { features: object };
    assert.deepEqual(Object.keys(features), ['net0', 'disk0']);
    assert.match(await output('tree'), /rng0 \(class 4\)\n.*virtio_vdpa\n.*virtio\d+\n/);
  },
);

test('save: settings of the others are saved, and what the kernel does not report is named, with status 1', async () => {
  const { status, stdout, stderr } = await vdpa('save');
  assert.deepEqual([status, stderr], [1, secret]);
  const saved = (JSON.parse(stdout) as { devices: Record<string, unknown>[] }).devices;
  const seen = saved.map(({ name, mac, mtu, device_features: features }) => [name, mac, mtu, features !== undefined]);
  assert.deepEqual(seen, [
    ['rng0', undefined, undefined, false],
    ['net0', '52:54:00:12:34:08', 9000, true],
    ['disk0', undefined, undefined, true],
  ]);
  writeFileSync(file, 'old');
  const kept = await vdpa(`save ${file}`);
  assert.deepEqual([kept.status, kept.stderr, readFileSync(file, 'utf8')], [1, secret, stdout]);
});

test('apply: the saved state is no change, and no device is recreated', async () => {
  const { stdout } = await vdpa('save');
  writeFileSync(file, stdout);
  const before = virtioDevices();
  for (const words of ['', ' prune', ' dry_run', ' prune force']) {
    assert.equal(await output(`apply ${file}${words}`), 'Nothing to change.\n', words);
  }
  assert.deepEqual(virtioDevices(), before);
});

test('restore: everything is restored after everything is deleted', async () => {
  const { stdout } = await vdpa('save');
  writeFileSync(file, stdout);
  for (const name of await names()) await output(`dev del ${name}`);
  assert.match(await output(`restore ${file}`), /\n3 changes made\.\n$/);
  assert.deepEqual((await names()).sort(), ['disk0', 'net0', 'rng0']);
  for (const [name, , part] of devices) {
    await until(`${name} has its ${part}`, () => new VdpaBus().device(name)?.[part] !== undefined);
  }
  assert.equal((await vdpa('save')).stdout, stdout);
});

test('apply: a function supports only one device, and a plan with two is rejected as a whole', async () => {
  const other = { name: 'rng1', mgmtdev: `pci/${PCI.rng}` };
  writeFileSync(file, JSON.stringify({ version: 1, devices: [{ name: 'sim0', mgmtdev: 'vdpasim_net' }, other] }));
  const before = virtioDevices();
  const reason = `${file}: line 1 (/devices/1/mgmtdev) pci/${PCI.rng} supports only one device; in use by rng0\n`;
  for (const words of ['dry_run', '']) {
    const { status, stdout, stderr } = await vdpa(`apply ${file} ${words}`.trimEnd());
    assert.deepEqual([status, stdout, stderr], [1, '', reason]);
  }
  assert.deepEqual(virtioDevices(), before);
  // Deleting the existing device makes room.
  assert.match(await output(`apply ${file} prune dry_run`), /^- rng0\n\+ rng1 /m);
});
