import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { json, output, vdpa } from '../support/command-line.js';
import { checkOutput } from '../support/output-schemas.js';
import { needs, SIMULATORS, testsWith, VDUSE } from '../support/kernel/lab/needs.js';

const { afterEach, test } = testsWith(...SIMULATORS);

afterEach(async () => {
  for (const name of Object.keys(((await json('dev show')) as { dev: object }).dev)) await output(`dev del ${name}`);
});

test('-d shows the node, interface or disk that each driver provides', async () => {
  await output('dev add mgmtdev vdpasim_net name foo0');
  const plain = { type: 'network', mgmtdev: 'vdpasim_net', vendor_id: 0, max_vqs: 3, max_vq_size: 256 };
  assert.deepEqual(await json('dev show foo0'), { dev: { foo0: plain } });
  const details = async (): Promise<Record<string, unknown>> =>
    ((await json('-d dev show foo0')) as { dev: { foo0: Record<string, unknown> } }).dev.foo0;
  const virtio = await details();
  assert.equal(virtio['driver'], 'virtio_vdpa');
  assert.equal(virtio['virtio_driver'], 'virtio_net');
  assert.ok(existsSync(`/sys/class/net/${String(virtio['netdev'])}`));
  await output('dev bind foo0 driver vhost');
  const node = '/dev/vhost-vdpa-0';
  assert.deepEqual(await details(), { ...plain, driver: 'vhost_vdpa', driver_override: 'vhost_vdpa', vhost: node });
  closeSync(openSync(node, 'r+'));
  await output('dev unbind foo0');
  assert.deepEqual(await details(), { ...plain, driver: null, driver_override: 'vhost_vdpa' });
  assert.match(await output('-d dev show foo0'), /^foo0: .*\n {2}driver \(none\) driver_override vhost_vdpa\n$/);
});

test('a device is found by its interface, disk or node', needs(VDUSE), async () => {
  await output('dev add mgmtdev vdpasim_net name net0');
  await output('dev add mgmtdev vdpasim_net name net1 driver vhost');
  await output('dev add mgmtdev vdpasim_blk name blk0');
  const names = async (line: string): Promise<string[]> =>
    Object.keys(((await json(`dev show ${line}`)) as { dev: object }).dev);
  const { dev } = (await json('-d dev show')) as { dev: Record<string, { netdev?: string }> };
  assert.deepEqual(await names(`netdev ${dev['net0']?.netdev ?? ''}`), ['net0']);
  assert.deepEqual(await names('vhost vhost-vdpa-0'), ['net1']);
  assert.deepEqual(await names('block vda'), ['blk0']);
  assert.deepEqual(await names('driver virtio'), ['net0', 'blk0']);
  assert.deepEqual(await names('mgmtdev vdpasim_net'), ['net0', 'net1']);
  assert.deepEqual(await names('mgmtdev vduse'), []);
  for (const line of ['netdev eth99', 'vhost vhost-vdpa-9', 'driver none', 'mgmtdev none', 'driver virtio x']) {
    assert.equal((await vdpa(`dev show ${line}`)).status, 1, line);
  }
});

test('a device may be named like a look-up keyword', async () => {
  await output('dev add mgmtdev vdpasim_net name driver');
  assert.match(await output('dev show driver'), /^driver: type network /);
});

test('an open node keeps its device, unless forced', async () => {
  await output('dev add mgmtdev vdpasim_net name foo0 driver vhost');
  const node = openSync('/dev/vhost-vdpa-0', 'r+');
  const holder = spawn('sleep', ['30'], { stdio: [node, 'ignore', 'ignore'] });
  closeSync(node);
  for (const line of ['dev unbind foo0', 'dev bind foo0 driver virtio']) {
    const { status, stderr } = await vdpa(line);
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`process ${holder.pid} \\(sleep\\) has /dev/vhost-vdpa-0 open`));
  }
  assert.match(await output('-d dev show foo0'), /driver vhost_vdpa/);
  holder.kill();
  await once(holder, 'close');
  await output('dev bind foo0 driver virtio');
});

test('a mounted disk keeps its device, also in another mount namespace', async () => {
  await output('dev add mgmtdev vdpasim_blk name blk0');
  execFileSync('mke2fs', ['-q', '-t', 'ext4', '-O', '^has_journal', '/dev/vda']);
  mkdirSync('/tmp/mounted');
  execFileSync('mount', ['/dev/vda', '/tmp/mounted']);
  try {
    for (const line of ['dev unbind blk0', 'dev bind blk0 driver vhost']) {
      const { status, stderr } = await vdpa(line);
      assert.equal(status, 1);
      assert.match(stderr, /\/dev\/vda is mounted on \/tmp\/mounted/);
    }
  } finally {
    execFileSync('umount', ['/tmp/mounted']);
  }
  const elsewhere = spawn('unshare', ['-m', 'sh', '-c', 'mount /dev/vda /tmp/mounted && echo && sleep 30'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve) => elsewhere.stdout.once('data', resolve));
  const { status, stderr } = await vdpa('dev unbind blk0');
  const gone = new Promise((resolve) => elsewhere.once('close', resolve));
  execFileSync('pkill', ['-P', String(elsewhere.pid)]);
  elsewhere.kill();
  await gone;
  assert.equal(status, 1);
  assert.match(stderr, /\/dev\/vda is in use by a process that is not visible here/);
  await output('dev unbind blk0');
});

test('a device that cannot be bound is not left behind', async () => {
  const unknown = await vdpa('dev add mgmtdev vdpasim_net name foo0 driver nothing');
  assert.equal(unknown.status, 1);
  assert.match(unknown.stderr, /registered: vhost_vdpa, virtio_vdpa/);
  // A file in place of the node: devtmpfs leaves it alone, and the node does not appear.
  writeFileSync('/dev/vhost-vdpa-0', '');
  try {
    const { status, stderr } = await vdpa('dev add mgmtdev vdpasim_net name foo0 driver vhost');
    assert.equal(status, 1);
    assert.match(stderr, /\/dev\/vhost-vdpa-0 did not appear within 5000 ms/);
    assert.deepEqual(await json('dev show'), { dev: {} });
    await output('dev add mgmtdev vdpasim_net name foo1');
    const { stderr: second } = await vdpa('dev bind foo1 driver vhost');
    assert.match(second, /did not appear/);
    // Bound to its previous driver again, and its driver_override cleared.
    assert.match(await output('-d dev show foo1'), /\n {2}driver virtio_vdpa virtio virtio/);
  } finally {
    rmSync('/dev/vhost-vdpa-0');
  }
});

test('-d shows the users of nodes and disks', async () => {
  const users = async (name: string): Promise<unknown> => {
    const text = await output(`-j -d dev show ${name}`);
    checkOutput('dev-show', text);
    return (JSON.parse(text) as { dev: Record<string, { user?: unknown }> }).dev[name]?.user;
  };
  await output('dev add mgmtdev vdpasim_net name foo0 driver vhost');
  assert.equal(await users('foo0'), undefined);
  const node = openSync('/dev/vhost-vdpa-0', 'r+');
  const holder = spawn('sleep', ['30'], { stdio: [node, 'ignore', 'ignore'] });
  closeSync(node);
  const holds = { kind: 'process', pid: holder.pid, command: 'sleep', node: '/dev/vhost-vdpa-0' };
  assert.deepEqual(await users('foo0'), [holds]);
  assert.match(
    await output('-d dev show foo0'),
    new RegExp(`\\n {2}user: process pid ${holder.pid} command sleep node /dev/vhost-vdpa-0\\n$`),
  );
  holder.kill();
  await once(holder, 'close');
  await output('dev add mgmtdev vdpasim_blk name blk0');
  execFileSync('mke2fs', ['-q', '-t', 'ext4', '-O', '^has_journal', '/dev/vda']);
  mkdirSync('/tmp/in use', { recursive: true });
  execFileSync('mount', ['/dev/vda', '/tmp/in use']);
  try {
    assert.deepEqual(await users('blk0'), [{ kind: 'mount', mount_point: '/tmp/in use', disk: '/dev/vda' }]);
  } finally {
    execFileSync('umount', ['/tmp/in use']);
  }
});
