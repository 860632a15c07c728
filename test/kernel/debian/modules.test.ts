/** Debian's own kernel, where drivers are modules: loaded step by step, as a user would. */
import '../../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { bash, diskOf, sh, start } from '../../support/kernel/servers/vduse.js';

interface HostReport {
  readonly machine: { readonly kernel: string; readonly ready: boolean };
  readonly advice: readonly { readonly do: string }[];
  readonly module: readonly { readonly name: string; readonly state: string }[];
  readonly vduse: { readonly present: boolean };
}

async function host(): Promise<HostReport> {
  return (JSON.parse(await sh('vdpa -j host show')) as { host: HostReport }).host;
}

async function advice(): Promise<string> {
  return (await host()).advice.map((step) => step.do).join('\n');
}

async function stateOf(module: string): Promise<string | undefined> {
  return (await host()).module.find(({ name }) => name === module)?.state;
}

test('without a module, commands fail and name the module to load', async () => {
  assert.equal((await host()).machine.ready, false);
  assert.equal(await stateOf('vdpa'), 'available');
  const shown = await start('vdpa', 'mgmtdev', 'show');
  assert.equal(shown.status, 1);
  assert.match(shown.stderr, /modprobe vdpa/);
  assert.match(await advice(), /modprobe vdpa/);
});

test('each module that is loaded leaves one step less', async () => {
  await sh('modprobe vduse');
  assert.equal(await stateOf('vduse'), 'loaded');
  assert.equal((await host()).vduse.present, true);
  assert.match(await sh('vdpa mgmtdev show'), /^vduse: \n {2}supported_classes net block\n/);
  assert.match(await advice(), /modprobe vhost_vdpa or virtio_vdpa/);
  await sh('modprobe virtio_vdpa');
  await sh('modprobe virtio_blk');
  await sh('modprobe virtio_net');
  await sh('modprobe vhost_vdpa');
  const { machine } = await host();
  assert.deepEqual([machine.ready, await advice()], [true, '']);
  assert.equal(machine.kernel, execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim());
});

test('a VDUSE disk holds a file system, while its server is killed and restarted', async () => {
  await bash('truncate -s 64M /tmp/disk.img');
  await sh('vdpa dev add mgmtdev vduse name disk0 path /tmp/disk.img restart on driver virtio');
  const disk = await diskOf('disk0');
  await sh(`mkfs.ext4 -q ${disk}`);
  await bash(`mkdir /tmp/mounted; mount -t ext4 ${disk} /tmp/mounted; cp -r "$LAB_CHECKOUT/src" /tmp/mounted; sync`);
  const shown = JSON.parse(await sh('vdpa -j vduse show disk0')) as { vduse: { disk0: { pid: number } } };
  process.kill(shown.vduse.disk0.pid, 'SIGKILL');
  await bash(`echo 3 > /proc/sys/vm/drop_caches; diff -r "$LAB_CHECKOUT/src" /tmp/mounted/src; umount /tmp/mounted`);
  await sh(`fsck.ext4 -fn ${disk}`);
  await sh('vdpa dev del disk0');
});

test('a VDUSE network device has an interface and, given to vhost, a node', async () => {
  await sh('vdpa dev add mgmtdev vduse name net0 type net backend loopback mac 02:00:00:00:00:01 driver virtio');
  const show = async (): Promise<string> => sh('vdpa -d dev show net0');
  assert.match(await show(), /driver virtio_vdpa .*virtio virtio\d+ virtio_driver virtio_net netdev \S+/);
  await sh('vdpa dev bind net0 driver vhost');
  assert.match(await show(), /driver vhost_vdpa .*vhost \/dev\/vhost-vdpa-0/);
  assert.ok(readdirSync('/dev').includes('vhost-vdpa-0'));
  await sh('vdpa dev del net0');
});
