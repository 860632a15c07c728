import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import {
  VdpaBus,
  VdpaClient,
  addBoundDevice,
  applyChanges,
  deleteDevice,
  findBlockers,
  planChanges,
  readActualDevices,
  readDesiredState,
  unbindDriver,
} from '../../src/index.js';
import { nothingLeft } from '../support/kernel/lab/leftovers.js';
import { needs, SIMULATORS, testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { bash, diskOf, giveToVhost, sh, start, until, type Ran } from '../support/kernel/servers/vduse.js';

const { after, afterEach, test } = testsWith(VDUSE);

const VDPA = '/run/bin/vdpa';
const ADD = 'dev add mgmtdev vduse name';
/** How long the kernel waits for a server's answer; a rejection takes a small part of that, even on a loaded machine. */
const KERNEL_PATIENCE_MS = 30_000;

afterEach(nothingLeft);

/** Ends the processes of {@link held}, which would not end by themselves. */
after(() => {
  for (const child of held) child.kill('SIGKILL');
});
const held = new Set<ReturnType<typeof spawn>>();

const vdpa = (line: string): Promise<Ran> => start(VDPA, ...line.split(' '));

async function done(line: string): Promise<void> {
  assert.deepEqual(await vdpa(line), { status: 0, stdout: '', stderr: '' }, line);
}

/** Runs a line that is rejected immediately, and returns its message. */
async function refused(line: string): Promise<string> {
  const begun = performance.now();
  const { status, stdout, stderr } = await vdpa(line);
  assert.equal(status, 1, `${line}: ${stdout}${stderr}`);
  assert.ok(performance.now() - begun < KERNEL_PATIENCE_MS / 2, `${line} took ${performance.now() - begun} ms`);
  return stderr;
}

async function serverPid(name: string): Promise<number> {
  const { stdout } = await vdpa(`-j vduse show ${name}`);
  return (JSON.parse(stdout) as { vduse: Record<string, { pid: number }> }).vduse[name]?.pid ?? assert.fail();
}

async function kill(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  await until('the server is dead', () => !existsSync(`/proc/${pid}/fd`));
}

/** A read that blocks in the device until a server answers it. */
function readBeside(disk: string): Promise<Ran> {
  return start('dd', `if=${disk}`, 'of=/dev/null', 'bs=4k', 'count=1', 'iflag=direct', 'status=none');
}

/** Does what the error advises. @returns a promise for the end of that server */
function serveAgain(name: string): Promise<unknown> {
  const server = spawn(VDPA, ['vduse', 'serve', 'name', name, 'path', '/tmp/removal'], { stdio: 'ignore' });
  held.add(server);
  return once(server, 'close');
}

test('a device whose server died during a request is deleted only by force, and vdpa continues to work', async () => {
  await bash('truncate -s 8M /tmp/removal');
  await done(`${ADD} d0 path /tmp/removal`);
  const disk = await diskOf('d0');
  const pid = await serverPid('d0');
  process.kill(pid, 'SIGSTOP');
  const read = readBeside(disk);
  await until(
    'a request is in progress',
    () => readFileSync(`/sys/class/block/${disk.slice('/dev/'.length)}/inflight`, 'utf8').trim() !== '0        0',
  );
  assert.match(
    await refused('dev del d0'),
    new RegExp(
      `^vdpa: delete d0: Device or resource busy \\(EBUSY\\)\\. .*the server of d0, process ${pid} \\(\\S+\\), is stopped; resume it with "kill -CONT ${pid}"\\. Or use "force"\\n$`,
    ),
  );
  await kill(pid);
  for (const line of ['dev del d0', 'vduse del d0', 'dev unbind d0', 'dev bind d0 driver vhost']) {
    assert.match(
      await refused(line),
      /the server of d0 is no longer running; start it again .*"vdpa vduse serve name d0 \.\.\."/,
      line,
    );
  }
  // Everything else works meanwhile.
  await done(`${ADD} other serve`);
  await done('dev del other');
  assert.match((await vdpa('dev show d0')).stdout, /^d0: type block /);
  const ended = serveAgain('d0');
  assert.deepEqual(await read, { status: 0, stdout: '', stderr: '' });
  await done('dev del d0');
  await ended;
});

test('the library and a state file are rejected too', async () => {
  await bash('truncate -s 8M /tmp/removal');
  await done(`${ADD} d0 path /tmp/removal`);
  await diskOf('d0');
  await kill(await serverPid('d0'));
  const client = await VdpaClient.open();
  const bus = new VdpaBus();
  try {
    assert.deepEqual(findBlockers(bus, 'd0'), [{ kind: 'server', trouble: 'gone', name: 'd0' }]);
    await assert.rejects(deleteDevice(client, bus, 'd0'), {
      code: 'EBUSY',
      message: /the server of d0 is no longer running/,
    });
    await assert.rejects(unbindDriver(bus, 'd0'), { code: 'EBUSY' });
    const wanted = readDesiredState('{"version":1,"devices":[]}', 'none');
    const actual = await readActualDevices(client, bus);
    const actualState = { managementDevices: await client.managementDevices(), drivers: bus.drivers() };
    const changes = planChanges(wanted, actual, actualState, { prune: true });
    const { failed } = await applyChanges(client, bus, changes);
    assert.ok(failed?.error instanceof Error);
    assert.match(failed.error.message, /^delete d0: .*the server of d0 is no longer running/);
  } finally {
    await client.close();
  }
  writeFileSync('/tmp/none.json', '{"version":1,"devices":[]}');
  assert.match(await refused('apply /tmp/none.json prune'), /the server of d0 is no longer running/);
  const ended = serveAgain('d0');
  await until('it is served again', () => findBlockers(bus, 'd0').length === 0);
  await done('dev del d0');
  await ended;
});

test('a dead server does not matter if the kernel would not wait for it', async () => {
  await done(`${ADD} d0 serve`);
  await diskOf('d0');
  await bash(`echo ${new VdpaBus().device('d0')?.virtio ?? ''} > /sys/bus/virtio/drivers/virtio_blk/unbind`);
  await kill(await serverPid('d0'));
  await done('dev del d0');
  await done('vduse del d0');
});

test('an instance whose server is dead or stopped is not attached', async () => {
  await done(`${ADD} d0 serve`);
  const pid = await serverPid('d0');
  await sh('/run/bin/vdpa-iproute2 dev del d0');
  process.kill(pid, 'SIGSTOP');
  const lines = [`${ADD} d0`, `${ADD} d0 driver virtio`];
  for (const line of lines) {
    assert.match(await refused(line), new RegExp(`^vdpa: add d0: .*the server of d0, process ${pid} .*is stopped`));
  }
  await kill(pid);
  for (const line of lines) assert.match(await refused(line), /^vdpa: add d0: .*the server of d0 is no longer running/);
  const client = await VdpaClient.open();
  const spec = { name: 'd0', managementDevice: 'vduse' };
  await assert.rejects(addBoundDevice(client, new VdpaBus(), spec, 'virtio'), { code: 'EBUSY' });
  await client.close();
  assert.equal(existsSync('/sys/bus/vdpa/devices/d0'), false);
  await done('vduse del d0');
});

test('the instance of an invisible server can be attached, and stays attached', async () => {
  await done(`${ADD} d0 serve`);
  // In a separate PID namespace no other process is visible, but the kernel refuses to open the node.
  const hidden = ['--fork', '--pid', '--mount-proc', VDPA];
  const { status, stderr } = await start('unshare', ...hidden, 'dev', 'del', 'd0');
  assert.deepEqual([status, stderr], [0, '']);
});

test('an open node keeps its device from being deleted, unless forced', needs(...SIMULATORS), async () => {
  await done('dev add mgmtdev vdpasim_net name foo0 driver vhost');
  const holder = spawn('bash', ['-c', 'exec 3<>/dev/vhost-vdpa-0; echo; exec sleep 600'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  held.add(holder);
  await once(holder.stdout, 'data');
  const held0 = `process ${holder.pid} (sleep) has /dev/vhost-vdpa-0 open`;
  assert.equal(
    await refused('dev del foo0'),
    `vdpa: delete foo0: Device or resource busy (EBUSY). It is in use: ${held0}. End that first, or use "force"\n`,
  );
  writeFileSync('/tmp/none.json', '{"version":1,"devices":[]}');
  assert.ok((await refused('apply /tmp/none.json prune')).includes(held0));
  const hidden = await start('unshare', '--fork', '--pid', '--mount-proc', VDPA, 'dev', 'del', 'foo0');
  assert.match(hidden.stderr, /\/dev\/vhost-vdpa-0 is in use by a process that is not visible here/);
  assert.match((await vdpa('dev show foo0')).stdout, /^foo0: /);
  const forced = vdpa('dev del foo0 force');
  await until('the kernel has started to delete it', () => !existsSync('/dev/vhost-vdpa-0'));
  holder.kill();
  assert.deepEqual(await forced, {
    status: 0,
    stdout: '',
    stderr: `Warning: ${held0}; the kernel waits for this and blocks all vdpa commands until then.\n`,
  });
});

test('an unopened node of a dead server prevents nothing', async () => {
  await done(`${ADD} d0 serve`);
  await giveToVhost('d0');
  await kill(await serverPid('d0'));
  const begun = performance.now();
  await done('dev unbind d0');
  await done('dev bind d0 driver vhost');
  assert.match(await refused('dev bind d0 driver virtio'), /the server of d0 is no longer running/);
  await done('dev del d0');
  assert.ok(performance.now() - begun < KERNEL_PATIENCE_MS, 'nothing waited for the server');
  await done('vduse del d0');
});

test(
  'a device of another management device is independent of an instance of the same name',
  needs(...SIMULATORS),
  async () => {
    await done(`${ADD} twin serve`);
    const pid = await serverPid('twin');
    await sh('/run/bin/vdpa-iproute2 dev del twin');
    await kill(pid);
    await done('dev add mgmtdev vdpasim_net name twin');
    await done('dev del twin');
    await done('vduse del twin');
  },
);
