import '../../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { json, output, vdpa } from '../../support/command-line.js';
import { testsWith, VP_VDPA } from '../../support/kernel/lab/needs.js';
import { checkOutput } from '../../support/output-schemas.js';
import { bash, mountPoint, sh, until } from '../../support/kernel/servers/vduse.js';
import { untilWatching } from '../../support/kernel/lab/until-watching.js';
import type { BusDevice } from '../../../src/sysfs/bus.js';
import { VdpaBus } from '../../../src/sysfs/bus.js';

const { afterEach, before, test } = testsWith(VP_VDPA);

const DISK = 'pci/0000:00:06.0';
const NETS = ['pci/0000:00:07.0', 'pci/0000:00:08.0'] as const;

before(async () => {
  await bash('bind-vp-vdpa');
});

afterEach(async () => {
  for (const name of Object.keys(((await json('dev show')) as { dev: object }).dev)) await output(`dev del ${name}`);
});

interface Shown {
  readonly driver: string | null;
  readonly virtio?: string;
  readonly netdev?: string;
  readonly block?: string;
  readonly user?: readonly Record<string, unknown>[];
}

async function shown(name: string): Promise<Shown> {
  const text = await output(`-j -d dev show ${name}`);
  checkOutput('dev-show', text);
  return (JSON.parse(text) as { dev: Record<string, Shown> }).dev[name] ?? assert.fail();
}

/** Creates a device and waits for the interface or disk that its driver creates. */
async function add(mgmtdev: string, name: string, part: 'netdev' | 'block'): Promise<BusDevice> {
  await output(`dev add mgmtdev ${mgmtdev} name ${name}`);
  return until(`${name} has its ${part}`, () => {
    const device = new VdpaBus().device(name);
    return device?.[part] !== undefined && device;
  });
}

test('-d shows the disk of a PCI device, the tree ends at it, and the disk leads back to the device', async () => {
  const { block = '', virtio = '' } = await add(DISK, 'disk0', 'block');
  assert.ok(existsSync(`/sys/bus/pci/devices/0000:00:06.0/${virtio}/block/${block}`));
  const details = await shown('disk0');
  assert.deepEqual([details.driver, details.virtio, details.block], ['virtio_vdpa', virtio, `/dev/${block}`]);
  assert.match(await output(`dev show block ${block}`), /^disk0: /);
  assert.match(await output('tree'), new RegExp(`disk0 \\(block\\)\\n.*virtio_vdpa\\n.*/dev/${block}\\n`));
});

test('a mounted disk of a PCI device is removed only with force, and -d shows its mount point', async () => {
  const { block = '' } = await add(DISK, 'disk0', 'block');
  const folder = mountPoint('disk0');
  await sh(`mkfs.ext4 -q /dev/${block}`);
  await sh(`mount /dev/${block} ${folder}`);
  writeFileSync('/tmp/none.json', '{"version":1,"devices":[]}');
  try {
    for (const line of ['dev unbind disk0', 'dev bind disk0 driver vhost', 'apply /tmp/none.json prune']) {
      const { status, stderr } = await vdpa(line);
      assert.equal(status, 1, line);
      assert.match(stderr, new RegExp(`In use|in use: /dev/${block} is mounted on ${folder}`), line);
    }
    assert.deepEqual((await shown('disk0')).user, [{ kind: 'mount', mount_point: folder, disk: `/dev/${block}` }]);
  } finally {
    await sh(`umount ${folder}`);
  }
  await output('dev unbind disk0');
  assert.deepEqual((await shown('disk0')).driver, null);
});

test('interfaces of two PCI devices are distinguished, and one that is up keeps its device', async () => {
  const [one, other] = [await add(NETS[0], 'net0', 'netdev'), await add(NETS[1], 'net1', 'netdev')];
  assert.notEqual(one.netdev, other.netdev);
  for (const { name, netdev = '' } of [one, other])
    assert.match(await output(`dev show netdev ${netdev}`), new RegExp(`^${name}: `));
  await sh(`ip link set ${one.netdev} up`);
  const { stderr } = await vdpa('dev unbind net0');
  assert.match(stderr, new RegExp(`It is in use: ${one.netdev} is up`));
  await output('dev unbind net1');
});

test('the interface of a PCI device identifies its device', async () => {
  const { netdev = '' } = await add(NETS[0], 'net0', 'netdev');
  const { readBusInfo } = await import('../../../src/sys/ethtool.js');
  assert.equal(Buffer.from(readBusInfo(netdev) ?? []).toString(), 'net0');
});

test('monitor tells of the disk of a PCI device as it comes and goes', async () => {
  const monitor = spawn('vdpa', ['monitor'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  monitor.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
  await untilWatching(() => text);
  text = '';
  const { block = '' } = await add(DISK, 'disk0', 'block');
  await output('dev unbind disk0');
  await until('the end is reported', () => text.includes('disk0: unbound'));
  monitor.kill();
  assert.match(text, new RegExp(`^dev disk0: changed block ${block} added$`, 'm'));
  assert.match(text, new RegExp(`^dev disk0: changed block ${block} removed$`, 'm'));
});
