import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import * as blk from '../../src/virtio/block.js';
import { probeServer } from '../../src/vduse/daemon/liveness.js';
import { ask } from '../../src/vduse/daemon/socket.js';
import { nothingLeft, runningServers } from '../support/kernel/lab/leftovers.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { checkOutput } from '../support/output-schemas.js';
import { VhostBlock } from '../support/kernel/drivers/vhost-block.js';
import { DATA } from '../../src/vhost/driver.js';
import { bash, diskOf, giveToVhost, start, until, type Ran } from '../support/kernel/servers/vduse.js';

const { afterEach, describe, test } = testsWith(VDUSE);

const VDPA = '/run/bin/vdpa';
const FILE = '/tmp/restarting';

const vdpa = (line: string): Promise<Ran> => start(VDPA, ...line.split(' '));

async function done(line: string): Promise<void> {
  assert.deepEqual(await vdpa(line), { status: 0, stdout: '', stderr: '' }, line);
}

interface Shown {
  readonly server: string;
  readonly pid?: number;
  readonly supervisor?: number;
  readonly state?: string;
  readonly attached: boolean;
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

async function serving(name: string, not?: number): Promise<Shown & { readonly pid: number }> {
  return until(`${name} is served`, async () => {
    const shown = await show(name);
    const { pid, state } = shown;
    return pid !== undefined && pid !== not && (state === 'running' || state === 'idle') && { ...shown, pid };
  });
}

async function saved(name: string): Promise<unknown> {
  const { status, stdout, stderr } = await vdpa('save');
  assert.deepEqual([status, stderr], [0, '']);
  const { devices } = JSON.parse(stdout) as { devices: { name: string; server?: unknown }[] };
  return devices.find((device) => device.name === name)?.server;
}

/** The server that a supervisor starts, once it has executed its own program. */
function childOf(supervisor: number, not: number): Promise<number> {
  const isChild = (pid: string): boolean => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`VDPA_VDUSE_SUPERVISOR=${supervisor}\0`);
    } catch {
      return false;
    }
  };
  return until('the supervisor has started a server', () => {
    const child = readdirSync('/proc').find((pid) => /^[0-9]+$/.test(pid) && Number(pid) !== not && isChild(pid));
    return child !== undefined && Number(child);
  });
}

afterEach(async () => {
  await until('no server is left', () => runningServers().length === 0);
  nothingLeft();
});

describe('a server that is being replaced by its supervisor', () => {
  test('is recognized: show reports restarting, save includes it, and it can be stopped', async () => {
    await bash(`rm -f ${FILE}; truncate -s 16M ${FILE}`);
    await done(`dev add mgmtdev vduse name again path ${FILE} queues 2 serial S1 restart on`);
    const before = await saved('again');
    const { pid, supervisor = 0 } = await serving('again');
    assert.deepEqual((await probeServer('again'))?.state, 'alive');
    process.kill(pid, 'SIGKILL');
    const successor = await childOf(supervisor, pid);
    process.kill(successor, 'SIGSTOP');
    const shown = await show('again');
    assert.deepEqual(shown, {
      server: 'vdpa',
      supervisor,
      type: 'block',
      backend: 'file',
      path: FILE,
      block_size: 512,
      readonly: false,
      state: 'restarting',
      attached: true,
    });
    assert.match(
      (await vdpa('vduse show again')).stdout,
      /^again: server vdpa supervisor \d+ type block .* state restarting attached true\n$/,
    );
    assert.deepEqual(await probeServer('again'), { state: 'starting', pid: supervisor });
    assert.deepEqual(await saved('again'), before);
    process.kill(successor, 'SIGCONT');
    await serving('again', pid);
    await bash(`dd if=/dev/urandom of=${await diskOf('again')} bs=1M oflag=direct count=4 status=none`);

    await done('dev del again');
  });

  test('is not started again after five that ended early: the supervisor reports it and exits', async () => {
    await bash(`rm -f ${FILE}; truncate -s 16M ${FILE}`);
    const foreground = start(VDPA, 'vduse', 'serve', 'name', 'dying', 'path', FILE, 'restart', 'on');
    await until('the instance exists', () => existsSync('/dev/vduse/dying'));
    const first = await serving('dying');
    const { supervisor = 0 } = first;
    let pid: number | undefined = first.pid;
    // Whether the first one counts depends on how long it took to start.
    for (let killed = 0; killed < 6 && pid !== undefined; killed++) {
      process.kill(pid, 'SIGKILL');
      pid = await Promise.race([childOf(supervisor, pid), foreground.then(() => undefined)]);
    }
    const { status, stderr } = await foreground;
    assert.equal(status, 1);
    assert.match(stderr, /^vdpa: the server of dying exited .*, 5 times in a row, each time shortly after its start$/m);
  });

  test('is stopped by "vduse del" before it serves, and not restarted', async () => {
    await bash(`rm -f ${FILE}; truncate -s 16M ${FILE}`);
    const foreground = start(VDPA, 'vduse', 'serve', 'name', 'early', 'path', FILE, 'restart', 'on');
    await until('the instance exists', () => existsSync('/dev/vduse/early'));
    const { pid, supervisor = 0 } = await serving('early');
    process.kill(pid, 'SIGKILL');
    process.kill(await childOf(supervisor, pid), 'SIGSTOP');
    await done('vduse del early');
    assert.equal((await foreground).status, 0);
  });
});

describe('a device whose server is being replaced', () => {
  for (const line of ['dev del gap', 'vduse del gap', 'dev unbind gap'] as const) {
    test(`"${line}" waits for the new server`, async () => {
      await bash(`rm -f ${FILE}; truncate -s 16M ${FILE}`);
      await done(`dev add mgmtdev vduse name gap path ${FILE} restart on`);
      await diskOf('gap');
      const { pid, supervisor = 0 } = await serving('gap');
      process.kill(pid, 'SIGKILL');
      const successor = await childOf(supervisor, pid);
      process.kill(successor, 'SIGSTOP');
      const command = vdpa(line);
      // It would have been rejected by now.
      assert.equal(await Promise.race([command, sleep(3000, 'waits')]), 'waits');
      process.kill(successor, 'SIGCONT');
      assert.deepEqual(await command, { status: 0, stdout: '', stderr: '' });
      if (existsSync('/sys/bus/vdpa/devices/gap')) await done('dev del gap');
    });
  }

  test('that does not appear is reported by name after a while', async () => {
    await bash(`rm -f ${FILE}; truncate -s 16M ${FILE}`);
    await done(`dev add mgmtdev vduse name gap path ${FILE} restart on`);
    await diskOf('gap');
    const { pid, supervisor = 0 } = await serving('gap');
    process.kill(pid, 'SIGKILL');
    const successor = await childOf(supervisor, pid);
    process.kill(successor, 'SIGSTOP');
    const { status, stderr } = await vdpa('dev del gap');
    assert.equal(status, 1);
    assert.match(stderr, /the server of gap is no longer running/);
    process.kill(successor, 'SIGCONT');
    await serving('gap', pid);
    await done('dev del gap');
  });
});

test('a supervisor without CAP_KILL stops a server that runs as another user', async () => {
  await bash(`rm -f ${FILE}; truncate -s 16M ${FILE}`);
  const words = `vduse serve name nokill path ${FILE} user nobody restart on`.split(' ');
  const foreground = start('setpriv', '--bounding-set=-kill', VDPA, ...words);
  await until('the instance exists', () => existsSync('/dev/vduse/nokill'));
  const { supervisor = 0 } = await serving('nokill');
  process.kill(supervisor, 'SIGTERM');
  assert.deepEqual(await foreground, { status: 0, stdout: '', stderr: '' });
});

describe('a supervised server that is told to exit', () => {
  test('and is stuck in its file: it is not replaced once it has exited', async (context) => {
    await bash(`rm -f ${FILE}; truncate -s 64M ${FILE}; mkfs.ext4 -q ${FILE}; mkdir -p /tmp/frozen
      loop=$(losetup -f --show ${FILE}); mount -t ext4 $loop /tmp/frozen; truncate -s 16M /tmp/frozen/disk; sync`);
    context.after(() => bash(`umount /tmp/frozen; losetup -j ${FILE} -O NAME -n | xargs losetup -d`));
    await done('dev add mgmtdev vduse name slow path /tmp/frozen/disk restart on');
    const { pid } = await serving('slow');
    const driver = new VhostBlock(await giveToVhost('slow'));
    driver.start();
    await bash('fsfreeze -f /tmp/frozen');
    const header = driver.header(DATA, blk.VIRTIO_BLK_T_OUT, 8);
    const buffers = [header, { iova: DATA + 0x1000, length: 512 }, driver.statusByte(DATA + 0x100)];
    driver.offer(driver.ring().chain(buffers));
    assert.equal(driver.used(0, 100), undefined, 'it is not stuck');
    driver.close();
    const ending = vdpa('vduse del slow');
    const supervisor = { name: 'slow', socketPath: '/run/vdpa/vduse/slow/supervisor' };
    await until('its supervisor is notified', async () => {
      const answer = await ask(supervisor, { do: 'status' });
      return answer && 'starting' in answer && answer.starting.state === 'ending';
    });
    process.kill(pid, 'SIGKILL');
    await bash('fsfreeze -u /tmp/frozen');
    assert.deepEqual(await ending, { status: 0, stdout: '', stderr: '' });
  });

  test('and is stopped: it resumes, and exits', async () => {
    await bash(`rm -f ${FILE}; truncate -s 16M ${FILE}`);
    await done(`dev add mgmtdev vduse name halted path ${FILE} restart on`);
    const { pid } = await serving('halted');
    await bash('/run/bin/vdpa-iproute2 dev del halted');
    process.kill(pid, 'SIGSTOP');
    await until('it has stopped', async () => (await probeServer('halted'))?.state === 'stopped');
    await done('vduse del halted');
  });
});

describe('a server that does not answer', () => {
  test('hides no other: show reports that it is stopped', async () => {
    await done('dev add mgmtdev vduse name mute serve');
    await done('dev add mgmtdev vduse name well serve');
    const { pid } = await serving('mute');
    process.kill(pid, 'SIGSTOP');
    const { status, stdout, stderr } = await vdpa('-j vduse show');
    process.kill(pid, 'SIGCONT');
    assert.deepEqual([status, stderr], [0, '']);
    checkOutput('vduse-show', stdout);
    const { mute, well } = (JSON.parse(stdout) as { vduse: Record<string, Shown> }).vduse;
    assert.deepEqual(mute, { server: 'vdpa', pid, state: 'stopped', attached: true });
    assert.equal(well?.state, 'running');
    await done('dev del mute');
    await done('dev del well');
  });
});
