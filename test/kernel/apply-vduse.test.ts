/** VDUSE devices with their servers: saved, restored and applied. */
import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { json, output, vdpa, type Outcome } from '../support/command-line.js';
import { needs, SIMULATORS, testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { QEMU, serveWithQemu } from '../support/kernel/servers/qemu-server.js';
import { checkOutput } from '../support/output-schemas.js';
import { attach, bash, detach, diskOf, mountPoint, sh, start, until } from '../support/kernel/servers/vduse.js';

const { afterEach, test } = testsWith(VDUSE);

const ADD = 'dev add mgmtdev vduse name';
const file = '/tmp/state.json';

function write(...devices: readonly object[]): void {
  const all = devices.map((device) => ({ mgmtdev: 'vduse', ...device }));
  writeFileSync(file, JSON.stringify({ version: 1, devices: all }, null, 2));
}

interface Shown {
  readonly server: string;
  readonly pid: number;
  readonly attached: boolean;
  readonly queue: readonly object[];
  readonly state?: string;
}
async function show(name: string): Promise<Shown | undefined> {
  return ((await json('vduse show')) as { vduse: Record<string, Shown> }).vduse[name];
}
const devices = (): string[] => readdirSync('/sys/bus/vdpa/devices').sort();
const instances = (): string[] => readdirSync('/dev/vduse').filter((name) => name !== 'control');

/** Runs a line that must fail. Returns its message. */
async function refused(line: string): Promise<string> {
  const { status, stderr } = await vdpa(line);
  assert.equal(status, 1, line);
  return stderr;
}
const apply = (words = ''): Promise<string> => output(`apply ${file}${words}`);

/** Kills the server of a device, and waits until it is gone. */
async function killServer(name: string): Promise<void> {
  const shown = await show(name);
  assert.ok(shown);
  process.kill(shown.pid, 'SIGKILL');
  await until('the server is dead', async () => (await show(name))?.server === 'none');
}

afterEach(async () => {
  write();
  await output(`apply ${file} prune force`);
  for (const name of instances()) await output(`vduse del ${name}`);
  assert.deepEqual([devices(), instances()], [[], []]);
  if (existsSync('/run/vdpa/vduse')) assert.deepEqual(readdirSync('/run/vdpa/vduse'), []);
});

test(
  'a saved state is restored with its servers after everything is deleted, and then there is nothing to change',
  needs(...SIMULATORS),
  async () => {
    await bash('truncate -s 16M /tmp/keep.img; truncate -s 8M /tmp/part.img');
    await output(`${ADD} ram0 serve`);
    await output(
      `${ADD} file0 path /tmp/keep.img queues 2 queue_size 128 packed on threads 1 cpus 0 block_size 4096 serial S1 restart on`,
    );
    await output(`${ADD} part0 path /tmp/part.img size 4M readonly driver vhost`);
    await output(`${ADD} null0 backend null size 1G user nobody`);
    await output(`${ADD} net0 type net mac 02:00:00:00:00:01 mtu 1400 queues 2`);
    await output(`${ADD} tap0 type net ifname vtap0`);
    await output('dev add mgmtdev vdpasim_blk name blk0');
    const disk = await diskOf('file0');
    await bash(`mkfs.ext4 -q ${disk}; sync`);
    const saved = await output('save');
    const compact = await output('-j save');
    checkOutput('save', compact);
    assert.deepEqual(JSON.parse(compact), JSON.parse(saved));
    const entries = (JSON.parse(saved) as { devices: { name: string; server?: object }[] }).devices;
    const server = (name: string): object | undefined => entries.find((entry) => entry.name === name)?.server;
    assert.deepEqual(server('file0'), {
      backend: 'file',
      path: '/tmp/keep.img',
      block_size: 4096,
      readonly: false,
      serial: 'S1',
      queues: 2,
      queue_size: 128,
      packed: true,
      threads: 1,
      cpus: '0',
      restart: true,
    });
    assert.deepEqual(server('net0'), {
      backend: 'loopback',
      queues: 2,
      queue_size: 256,
      packed: false,
      restart: false,
    });
    assert.equal(server('blk0'), undefined);
    const before = await output('-d dev config show');
    writeFileSync(file, saved);
    assert.equal(await apply(' prune'), 'Nothing to change.\n');
    for (const { name } of entries) await output(`dev del ${name}`);
    assert.deepEqual(instances(), []);
    assert.match(await output(`restore ${file}`), /\n7 changes made\.\n$/);
    assert.equal(await output('save'), saved);
    assert.equal(await output('-d dev config show'), before);
    assert.equal(await output(`restore ${file}`), 'Nothing to change.\n');
    await sh(`fsck.ext4 -fn ${await diskOf('file0')}`);
  },
);

test('the shortest file, twice; prune removes servers too', async () => {
  write({ name: 'foo0', server: {} }, { name: 'net0', type: 'net', mac: '2:0:0:0:0:9', server: {} });
  assert.equal(
    await apply(' dry_run'),
    '+ foo0 mgmtdev vduse type block\n+ net0 mgmtdev vduse type net mac 02:00:00:00:00:09\n2 changes to make.\n',
  );
  assert.deepEqual(instances(), []);
  const told = await output(`-j apply ${file}`);
  checkOutput('apply', told);
  assert.equal((JSON.parse(told) as { changed: boolean }).changed, true);
  assert.deepEqual(devices(), ['foo0', 'net0']);
  assert.equal(await apply(' prune'), 'Nothing to change.\n');
  write({ name: 'net0', type: 'net', server: {} });
  assert.equal(await apply(' prune'), '- foo0\n1 change made.\n');
  assert.deepEqual(instances(), ['net0']);
  assert.equal(await show('foo0'), undefined);
});

test('a server with different options: the device is recreated, unless it is in use or in memory', async () => {
  await bash('truncate -s 16M /tmp/a.img');
  await output(`${ADD} file0 path /tmp/a.img`);
  const disk = await diskOf('file0');
  await bash(`mkfs.ext4 -q ${disk}`);
  const folder = mountPoint('a');
  write({ name: 'file0', server: { path: '/tmp/../tmp/a.img', queues: 4, serial: 'S2' } });
  const plan = '! file0 queues 1 -> 4 serial file0 -> S2\n';
  assert.equal(await apply(' dry_run'), `${plan}1 change to make.\n`);
  await sh(`mount ${disk} ${folder}`);
  assert.match(await refused(`apply ${file}`), /delete file0: Device or resource busy.* is mounted on \/tmp\/a/);
  assert.equal((await show('file0'))?.queue.length, 1);
  await sh(`umount ${folder}`);
  assert.equal(await apply(), `${plan}1 change made.\n`);
  assert.equal(await apply(), 'Nothing to change.\n');
  assert.equal((await show('file0'))?.queue.length, 4);
  await sh(`fsck.ext4 -fn ${await diskOf('file0')}`);

  write({ name: 'ram0', server: { size: '16M' } });
  await apply();
  write({ name: 'ram0', server: { size: '32M' } });
  const { status, stdout, stderr } = await vdpa(`-j apply ${file}`);
  assert.equal(status, 1);
  checkOutput('apply', stdout);
  assert.match(stderr, /replace ram0: Device or resource busy .*Its data is in memory.*use "force"/);
  assert.equal(await apply(' force'), '! ram0 size 16777216 -> 33554432\n1 change made.\n');
  assert.match(await output('dev config show ram0'), /capacity 65536/);
});

test('a server that died: the device continues with a new one, and a disk in memory is recreated', async () => {
  await bash('truncate -s 16M /tmp/dead.img');
  write({ name: 'file0', server: { path: '/tmp/dead.img' } }, { name: 'ram0', server: {} });
  await apply();
  const disk = await diskOf('file0');
  await bash(`mkfs.ext4 -q ${disk}; sync`);
  await killServer('file0');
  await killServer('ram0');
  // How long the kernel waits for a server's answer before it releases the device: 30 s by default.
  writeFileSync('/sys/class/vduse/ram0/msg_timeout', '1');
  const warned = await vdpa('save');
  assert.match(warned.stderr, /^Warning: the server of file0 is not saved: its server died/);
  // The kernel would wait for the dead server's answer, so this requires "force".
  assert.match(
    await refused(`apply ${file}`),
    /^vdpa: delete ram0: .* the server of ram0 is no longer running.*Or use "force"\n$/,
  );
  assert.equal(await apply(' force'), '~ file0 server (none) -> vdpa\n! ram0 server (none) -> vdpa\n2 changes made.\n');
  assert.equal(await apply(), 'Nothing to change.\n');
  await sh(`fsck.ext4 -fn ${disk}`);
  await sh(`dd if=/dev/zero of=${await diskOf('ram0')} bs=64k count=1 oflag=direct status=none`);
});

test('a device that another tool deleted is attached again, and remnants of a dead server are removed', async () => {
  write({ name: 'foo0', server: { size: '16M' } });
  await apply();
  const pid = (await show('foo0'))?.pid;
  await detach('foo0');
  assert.equal((await vdpa('save')).stderr.split(':')[1], ' foo0 is not saved');
  assert.equal(await apply(), '+ foo0 mgmtdev vduse\n1 change made.\n');
  assert.equal((await show('foo0'))?.pid, pid);
  await detach('foo0');
  write({ name: 'foo0', server: { size: '32M' } });
  assert.match(
    await refused(`apply ${file}`),
    /^\/tmp\/state\.json: line 7 \(\/devices\/0\/server\) foo0 is already served, but not attached, with size 16777216, not 33554432: run "vdpa vduse del foo0"/,
  );
  await killServer('foo0');
  assert.match(await apply(), /^\+ foo0 mgmtdev vduse type block size 33554432\n1 change made\.\n$/);
});

test('servers of other programs are reported, and left alone', needs(QEMU), async () => {
  const endQemu = await serveWithQemu('qsd0', async () => (await vdpa(`${ADD} qsd0`)).status === 0);
  const saved: Outcome = await vdpa('save');
  assert.equal(saved.status, 0);
  assert.equal(
    saved.stderr,
    'Warning: the server of qsd0 is not saved: it is served by another program; start that before "vdpa restore".\n',
  );
  assert.ok(!saved.stdout.includes('server'));
  writeFileSync(file, saved.stdout);
  assert.equal(await apply(), 'Nothing to change.\n');
  await detach('qsd0');
  assert.match(await apply(), /^\+ qsd0 mgmtdev vduse/);
  write({ name: 'qsd0', server: {} });
  assert.match(
    await refused(`apply ${file}`),
    /line 7 .* qsd0 is served by another program: stop it, or omit "server"/,
  );
  await detach('qsd0');
  assert.match(await refused(`apply ${file}`), /qsd0 is served by another program/);
  await endQemu();
  await until('its instance is gone', () => !existsSync('/dev/vduse/qsd0'));
  writeFileSync(file, saved.stdout);
  assert.match(
    await refused(`restore ${file}`),
    /^\/tmp\/state\.json: line \d+ \(\/devices\/0\/server\) qsd0 has no server: start one first/,
  );
});

test('a failure halfway leaves neither server nor device behind, and a second run continues', async () => {
  write(
    { name: 'a0', server: {} },
    { name: 'b0', server: { path: '/tmp/later.img' } },
    { name: 'c0', server: { backend: 'null' }, driver: 'vhost' },
  );
  const failed = await vdpa(`apply ${file}`);
  assert.equal(failed.status, 1);
  assert.match(failed.stderr, /open \/tmp\/later\.img: No such file or directory/);
  assert.match(failed.stdout, /\+ b0 .*\(failed\)\n\+ c0 .*\(not started\)\n1 of 3 changes made/);
  assert.deepEqual([devices(), instances()], [['a0'], ['a0']]);
  await bash('truncate -s 1M /tmp/later.img');
  assert.match(await apply(), /^\+ b0 .*\n\+ c0 .*\n2 changes made\.\n$/);
  assert.equal(await apply(), 'Nothing to change.\n');
  await output('dev del c0');

  // The kernel refuses to attach a device with the name of one of its own files: the server started for it is stopped.
  write({ name: 'vq0', server: { backend: 'null', size: '1M' } });
  const refusedByKernel = await vdpa(`apply ${file}`);
  assert.equal(refusedByKernel.status, 1);
  assert.ok(!instances().includes('vq0'));
});

test('a server started by hand matches a file that describes it', async () => {
  const serving = start('/run/bin/vdpa', 'vduse', 'serve', 'name', 'hand0', 'size', '16M');
  await until('it serves', async () => (await show('hand0'))?.state === 'idle');
  await attach('hand0');
  write({ name: 'hand0', type: 'block', server: { size: 16777216 } });
  assert.equal(await apply(), 'Nothing to change.\n');
  write();
  assert.equal(await apply(' prune'), '- hand0\n1 change made.\n');
  assert.equal((await serving).status, 0);
});
