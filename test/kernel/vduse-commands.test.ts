import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { DatagramListener } from '../support/kernel/lab/datagram-listener.js';
import { nothingLeft, runningServers } from '../support/kernel/lab/leftovers.js';
import { needs, testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { QEMU, serveWithQemu } from '../support/kernel/servers/qemu-server.js';
import { checkOutput } from '../support/output-schemas.js';
import { bash, detach, diskOf, mountPoint, sh, start, until } from '../support/kernel/servers/vduse.js';

const { afterEach, describe, test } = testsWith(VDUSE);

const VDPA = '/run/bin/vdpa';
const ADD = 'dev add mgmtdev vduse name';

const vdpa = (line: string): Promise<{ status: number | null; stdout: string; stderr: string }> =>
  start(VDPA, ...line.split(' '));

/** Runs a line that must succeed without output. */
async function done(line: string): Promise<void> {
  assert.deepEqual(await vdpa(line), { status: 0, stdout: '', stderr: '' }, line);
}

interface Shown {
  readonly server: string;
  readonly pid?: number;
  readonly state?: string;
  readonly attached: boolean;
  readonly deleted?: boolean;
  readonly [key: string]: unknown;
}

async function show(name: string): Promise<Shown> {
  const { status, stdout, stderr } = await vdpa(`-j vduse show ${name}`);
  assert.equal(status, 0, stderr);
  checkOutput('vduse-show', stdout);
  const shown = (JSON.parse(stdout) as { vduse: Record<string, Shown> }).vduse[name];
  assert.ok(shown);
  return shown;
}

afterEach(nothingLeft);

describe('vdpa dev add mgmtdev vduse', () => {
  test('one command creates a disk of 64 MiB that holds a file system; dev del leaves nothing behind, twenty times', async () => {
    for (let round = 0; round < 20; round++) {
      await done(`${ADD} foo0 serve`);
      const disk = await diskOf('foo0');
      assert.equal(await sh(`blockdev --getsize64 ${disk}`), `${64 * 1024 * 1024}\n`);
      await sh(`mkfs.ext4 -q ${disk}`);
      const folder = mountPoint('foo0');
      await sh(`mount ${disk} ${folder}`);
      const files = round === 0 ? 400 : 20;
      await bash(`find /usr/share/zoneinfo -type f | awk 'NR <= ${files}' | xargs cp --parents -t ${folder}`);
      await sh(`umount ${folder}`);
      await sh(`fsck.ext4 -fn ${disk}`);
      await done('dev del foo0');
      nothingLeft();
    }
  });

  test('in a file, by a relative path; show describes it', async () => {
    await bash('truncate -s 8M /tmp/disk.img');
    const { status, stderr } = await start(
      'env',
      '-C',
      '/tmp',
      VDPA,
      ...`${ADD} file0 path disk.img queues 2 queue_size 128 block_size 4096 serial S1`.split(' '),
    );
    assert.deepEqual([status, stderr], [0, '']);
    const disk = await diskOf('file0');
    await bash(`dd if=/dev/urandom of=${disk} bs=1M count=8 oflag=direct status=none; cmp ${disk} /tmp/disk.img`);
    const shown = await show('file0');
    assert.deepEqual(
      { ...shown, pid: 0, features: '', queue: [] },
      {
        server: 'vdpa',
        pid: 0,
        type: 'block',
        backend: 'file',
        path: '/tmp/disk.img',
        size: 8 * 1024 * 1024,
        block_size: 4096,
        cache: 'writeback',
        aio: 'sync',
        readonly: false,
        state: 'running',
        attached: true,
        deleted: false,
        features: '',
        queue_size: 128,
        queue: [],
      },
    );
    assert.deepEqual(runningServers(), [String(shown.pid)]);
    const queues = shown['queue'] as { index: number; state: string; requests: number; bytes_out: number }[];
    assert.equal(queues.length, 2);
    // Each processor has its own queue.
    assert.ok(queues.reduce((sum, queue) => sum + queue.bytes_out, 0) >= 8 * 1024 * 1024);
    const { stdout } = await vdpa('vduse show');
    assert.match(
      stdout,
      /^file0: server vdpa pid [0-9]+ type block backend file path \/tmp\/disk\.img .* state running /,
    );
    assert.match(stdout, /\n {2}queue: 0 state running requests [1-9]/);
    await done('dev del file0');
  });

  test('on processors of its own; show tells of them', async () => {
    await done(`${ADD} here0 type net queues 2 threads 2 cpus 0`);
    const shown = await show('here0');
    assert.equal(shown['cpus'], '0');
    assert.match((await vdpa('vduse show here0')).stdout, /^here0: server vdpa pid [0-9]+ type net cpus 0 backend /);
    await done('vduse del here0');
  });

  test('a network device on a tap', async () => {
    await done(`${ADD} net0 type net ifname vtap0 mac 02:00:00:00:00:01 mtu 1400`);
    const shown = await show('net0');
    assert.deepEqual([shown['ifname'], shown['mac'], shown['mtu']], ['vtap0', '02:00:00:00:00:01', 1400]);
    const config = await vdpa('-j dev config show net0');
    assert.match(config.stdout, /"mac":"02:00:00:00:00:01".*"mtu":1400/);
    await done('vduse del net0');
    assert.ok(!existsSync('/sys/class/net/vtap0'));
  });

  test('bound to vhost immediately', async () => {
    await done(`${ADD} vh0 serve driver vhost`);
    assert.ok(existsSync('/sys/bus/vdpa/drivers/vhost_vdpa/vh0'));
    await done('dev del vh0');
  });

  test('an instance of another server is only attached, and deleted by its own tool', needs(QEMU), async () => {
    const endQemu = await serveWithQemu('qsd0', async () => (await vdpa(`${ADD} qsd0`)).status === 0);
    await done(`${ADD} ours0 size 16M`);
    const [theirs, ours] = [await diskOf('qsd0'), await diskOf('ours0')];
    await bash(`dd if=/dev/urandom of=${ours} bs=1M count=16 oflag=direct status=none`);
    await bash(`dd if=${ours} of=${theirs} bs=64k iflag=direct oflag=direct status=none`);
    await bash(`cmp ${ours} ${theirs}`);
    assert.deepEqual(await show('qsd0'), { server: 'another program', attached: true });
    const refused = await vdpa(`${ADD} qsd0 size 32M`);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /"size" has no effect/);
    // Each is deleted by the other tool.
    await detach('ours0');
    await done('dev del qsd0');
    const left = await show('ours0');
    assert.deepEqual([left.attached, left.deleted, left.state], [false, true, 'idle']);
    assert.deepEqual(await show('qsd0'), { server: 'another program', attached: false });
    const busy = await vdpa('vduse del qsd0');
    assert.equal(busy.status, 1);
    assert.match(busy.stderr, /Device or resource busy/);
    await done('vduse del ours0');
    await endQemu();
    await until('its instance is gone', () => !existsSync('/dev/vduse/qsd0'));
  });

  test('deleted by another tool and added again', async () => {
    await done(`${ADD} again0 size 16M`);
    await sh(`mkfs.ext4 -q ${await diskOf('again0')}`);
    await detach('again0');
    await done(`${ADD} again0`);
    await sh(`fsck.ext4 -fn ${await diskOf('again0')}`);
    const { deleted, attached } = await show('again0');
    assert.deepEqual({ deleted, attached }, { deleted: false, attached: true });
    await done('dev del again0');
  });

  test('a killed server: its device waits, and continues with a new one', async () => {
    await bash('truncate -s 16M /tmp/killed.img');
    await done(`${ADD} killed0 path /tmp/killed.img`);
    const disk = await diskOf('killed0');
    const { pid } = await show('killed0');
    const writing = sh(`dd if=/dev/urandom of=${disk} bs=64k count=256 oflag=direct`);
    assert.ok(pid);
    process.kill(pid, 'SIGKILL');
    await until('it is dead', () => runningServers().length === 0);
    assert.deepEqual(await show('killed0'), { server: 'none', attached: true });
    const again = start(VDPA, 'vduse', 'serve', 'name', 'killed0', 'path', '/tmp/killed.img');
    await writing;
    await bash(`cmp ${disk} /tmp/killed.img`);
    await done('dev del killed0');
    assert.equal((await again).status, 0);
  });
});

describe('vdpa vduse serve', () => {
  test('serves in the foreground, notifies systemd, and exits cleanly', async () => {
    await bash('truncate -s 16M /tmp/fore.img');
    const systemd = new DatagramListener('/tmp/notify');
    const serving = start(
      'env',
      `NOTIFY_SOCKET=/tmp/notify`,
      VDPA,
      'vduse',
      'serve',
      'name',
      'fore0',
      'path',
      '/tmp/fore.img',
    );
    const { pid, attached } = await until('it serves', async () => {
      const shown = await show('fore0').catch(() => undefined);
      return shown?.pid !== undefined && shown;
    });
    assert.equal(attached, false);
    await done(`${ADD} fore0`);
    const disk = await diskOf('fore0');
    await bash(`dd if=/dev/urandom of=${disk} bs=1M count=16 oflag=direct status=none`);
    await detach('fore0');
    assert.ok(pid);
    process.kill(pid, 'SIGTERM');
    assert.deepEqual(await serving, { status: 0, stdout: '', stderr: '' });
    assert.deepEqual(systemd.received(), ['READY=1\nSTATUS=Serving fore0', 'STOPPING=1']);
    systemd.close();
  });
});

describe('rejected, with nothing left behind', () => {
  for (const [what, line, message] of [
    ['a file that is missing', `${ADD} e0 path /tmp/nosuch`, /^vdpa: open \/tmp\/nosuch: No such file or directory/],
    ['a file that cannot be written', `${ADD} e0 path /tmp`, /^vdpa: open \/tmp: Is a directory/],
    ['a size that is not whole blocks', `${ADD} e0 size 1000`, /^vdpa: Invalid size: 1000 bytes is not a multiple/],
    ['an invalid list of processors', `${ADD} e0 cpus 1-0`, /^Invalid cpus "1-0": expected a list of processors/],
    [
      'a processor that does not exist',
      `${ADD} e0 cpus 0,4000`,
      /^vdpa: Invalid cpus: processor 4000 does not exist or is offline; this machine has 0/,
    ],
    ['an invalid size', `${ADD} e0 size 1X`, /Invalid size "1X"/],
    [
      'a name that is too long',
      `${ADD} ${'n'.repeat(256)} serve`,
      /^vdpa: Name too long for a VDUSE device: 256 bytes/,
    ],
    ['a name that is a path', `${ADD} ../e0 serve`, /^vdpa: "\.\.\/e0" contains a character/],
    ['keywords of the other type', `${ADD} e0 ifname tap0`, /"ifname" is only supported by net devices/],
    ['a backend of the other type', `${ADD} e0 type net backend ram`, /Backend "ram" is not supported by net devices/],
    ['a path without a file', `${ADD} e0 backend file`, /Backend file requires "path"/],
    [
      'keywords for a server with another management device',
      'dev add mgmtdev vdpasim_blk name e0 size 1M',
      /"size" is only supported with mgmtdev vduse/,
    ],
    ['a driver that does not exist', `${ADD} e0 serve driver nosuch`, /nosuch/],
    ['a device that does not exist', 'vduse del nosuch', /No VDUSE instance named nosuch/],
    ['showing what does not exist', 'vduse show nosuch', /No VDUSE instance named nosuch/],
  ] as const) {
    test(what, async () => {
      const { status, stdout, stderr } = await vdpa(line);
      assert.deepEqual([status, stdout], [1, '']);
      assert.match(stderr, message);
    });
  }

  test('a name of 255 bytes is accepted', async () => {
    const name = 'n'.repeat(255);
    await done(`${ADD} ${name} serve`);
    await diskOf(name);
    await done(`dev del ${name}`);
  });

  test('a name that is taken', async () => {
    await done(`${ADD} taken0 serve`);
    const { status, stderr } = await vdpa(`${ADD} taken0`);
    assert.equal(status, 1);
    assert.match(stderr, /kernel answers: File exists/);
    const second = await vdpa('vduse serve name taken0');
    assert.equal(second.status, 1);
    assert.match(second.stderr, /already has a server/);
    await done('dev del taken0');
  });

  test('no /dev/vduse/control', async () => {
    const { status, stderr } = await start(
      'unshare',
      '-m',
      'sh',
      '-c',
      `mount -t tmpfs none /dev/vduse && ${VDPA} ${ADD} e0 serve`,
    );
    assert.equal(status, 1);
    assert.match(stderr, /^vdpa: open \/dev\/vduse\/control: No such file or directory.*modprobe vduse/);
  });

  test('no permission', async () => {
    const { status, stderr } = await start(
      ...(['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] as const),
      ...['--inh-caps=-all,+dac_read_search,+net_admin', '--ambient-caps=-all,+dac_read_search,+net_admin'],
      ...['env', 'XDG_RUNTIME_DIR=/tmp', VDPA, ...`${ADD} e0 serve`.split(' ')],
    );
    assert.equal(status, 1);
    assert.match(stderr, /is not private|Permission denied/);
  });

  test('a server that is killed before it is ready', async () => {
    const adding = vdpa(`${ADD} killed1 serve`);
    await until('there is a server', () => {
      const [pid] = runningServers();
      if (pid === undefined) return false;
      process.kill(Number(pid), 'SIGKILL');
      return true;
    });
    const { status, stderr } = await adding;
    assert.equal(status, 1);
    assert.match(stderr, /^vdpa: the server exited by SIGKILL before it was ready/);
    // What it left behind is removed as after any crash.
    if (existsSync('/dev/vduse/killed1') || readdirSync('/run/vdpa/vduse').length > 0) await vdpa('vduse del killed1');
  });
});
