/** `vdpa dev test` on the kernel's simulators and on VDUSE devices. docs/conformance.md says what is found, and where. */
import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { once } from 'node:events';
import { json, output, vdpa } from '../support/command-line.js';
import { nothingLeft } from '../support/kernel/lab/leftovers.js';
import { needs, SIMULATORS, testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { QEMU, serveWithQemu } from '../support/kernel/servers/qemu-server.js';
import { bash } from '../support/kernel/servers/vduse.js';
import { checkOutput } from '../support/output-schemas.js';

const { afterEach, test } = testsWith(VDUSE, ...SIMULATORS);

afterEach(async () => {
  for (const name of Object.keys(((await json('dev show')) as { dev: object }).dev)) await output(`dev del ${name}`);
  nothingLeft();
});

interface Result {
  readonly name: string;
  readonly result: string;
}

/** Tests a device. @returns the names of the checks by result, and the exit status */
async function results(
  words: string,
): Promise<{ readonly failed: string[]; readonly passed: string[]; readonly status: number }> {
  const { status, stdout } = await vdpa(`-j dev test ${words}`);
  checkOutput('dev-test', stdout);
  const { test: devices } = JSON.parse(stdout) as { test: Record<string, { readonly checks: readonly Result[] }> };
  const checks = Object.values(devices).flatMap((device) => device.checks);
  const names = (wanted: string): string[] => checks.filter(({ result }) => result === wanted).map(({ name }) => name);
  return { failed: names('failed'), passed: names('passed'), status };
}

async function driverOf(name: string): Promise<unknown> {
  const { dev } = (await json(`-d dev show ${name}`)) as {
    dev: Record<string, { driver: unknown; driver_override?: unknown }>;
  };
  return [dev[name]?.driver, dev[name]?.driver_override];
}

test('the block simulator fails where the kernel has a fault, and is put back', async () => {
  await output('dev add mgmtdev vdpasim_blk name blk0');
  const before = await driverOf('blk0');
  const { failed, passed, status } = await results('blk0 destructive');
  assert.deepEqual(failed, ['features-not-offered', 'block-error-used-length', 'block-unknown-type']);
  assert.ok(passed.length > 50);
  assert.equal(status, 1);
  assert.deepEqual(await driverOf('blk0'), before);
});

test('the network simulator fails where the kernel has a fault', async () => {
  await output('dev add mgmtdev vdpasim_net name net0 mac 02:00:00:00:00:01');
  const { failed, status } = await results('net0 destructive');
  assert.deepEqual(failed, [
    'features-not-offered',
    'net-receive-num-buffers',
    'net-receive-flags',
    'net-receive-filter',
  ]);
  assert.equal(status, 1);
});

test('disks and networks that vdpa serves pass, and disks keep their data', async () => {
  await bash('dd if=/dev/urandom of=/tmp/tested bs=64k count=16 status=none');
  const sum = (): Promise<string> => bash('md5sum < /tmp/tested');
  const before = await sum();
  await output('dev add mgmtdev vduse name ram0 serve size 16M queues 2 packed on');
  await output('dev add mgmtdev vduse name file0 serve backend file path /tmp/tested');
  await output('dev add mgmtdev vduse name net0 type net serve packed on');
  for (const words of ['ram0', 'file0 only block', 'net0 destructive']) {
    const { failed, passed, status } = await results(words);
    assert.deepEqual(failed, [], words);
    assert.ok(passed.length > 10, words);
    assert.equal(status, 0);
  }
  assert.equal(await sum(), before);
});

test('a network device with a tap passes, with the tap as the peer', async () => {
  await output('dev add mgmtdev vduse name tap0 type net serve backend tap ifname tap0 packed on');
  const down = await vdpa('dev test tap0 only net peer tap0');
  assert.deepEqual([down.status, down.stderr], [1, 'vdpa: receive packets of tap0: Network is down (ENETDOWN)\n']);
  await bash('ip link set tap0 up');
  const { failed, passed, status } = await results('tap0 only net peer tap0');
  assert.deepEqual([failed, status], [[], 0]);
  const names = ['net-receive-data', 'net-receive-merged', 'net-send-checksum', 'net-receive-checksum'];
  for (const name of [...names, 'net-send-segments', 'net-receive-segments']) assert.ok(passed.includes(name), name);
  const missing = await vdpa('dev test tap0 only net peer tap9');
  assert.deepEqual([missing.status, missing.stderr], [1, 'vdpa: open the packets of tap9: No such device (ENODEV)\n']);
  await output('dev add mgmtdev vduse name ram0 serve size 1M');
  const disk = await vdpa('dev test ram0 peer tap0');
  assert.deepEqual([disk.status, disk.stderr], [1, '"peer" is for network devices\n']);
});

test('the server of QEMU fails where it has a fault', needs(QEMU), async () => {
  const endQemu = await serveWithQemu('qsd0', async () => (await vdpa('dev add mgmtdev vduse name qsd0')).status === 0);
  for (const what of ['head', 'index', 'loop', 'next', 'indirect-length', 'address', 'length', 'directions']) {
    const broken = await results(`qsd0 destructive only hostile-split-${what}`);
    assert.deepEqual([broken.failed, broken.status], [[], 0], what);
    assert.ok(broken.passed.length > 0, what);
  }
  const { failed, passed, status } = await results('qsd0 skip split-indirect-after-chain');
  assert.deepEqual(failed, ['features-not-offered', 'block-error-used-length']);
  assert.ok(passed.length > 40);
  assert.equal(status, 1);
  await output('dev del qsd0');
  await endQemu();
});

test('a server that ends at a check: the next one fails, and the rest does not apply', needs(QEMU), async () => {
  const endQemu = await serveWithQemu('qsd0', async () => (await vdpa('dev add mgmtdev vduse name qsd0')).status === 0);
  await bash('echo 10 > /sys/class/vduse/qsd0/msg_timeout');
  const { stdout, stderr, status } = await vdpa('dev test qsd0 only split');
  assert.equal(stderr, '');
  assert.match(
    stdout,
    /\nFAILED {2}split-indirect-after-chain .*\n.*\n.*\n.*\nFAILED {2}split-.*\n {2}sent {6}an open, which resets the device, after split-indirect-after-chain\n/,
  );
  assert.match(stdout, /\nn\/a {5}split-.*: the device does not open any more\n/);
  assert.equal(status, 1);
  await output('dev del qsd0');
  await endQemu();
  await output('vduse del qsd0');
});

test('a read-only disk', async () => {
  await bash('truncate -s 1M /tmp/tested');
  await output('dev add mgmtdev vduse name file0 serve backend file path /tmp/tested readonly');
  const { failed, passed } = await results('file0 only block');
  assert.deepEqual(failed, []);
  assert.ok(passed.includes('block-read-only'));
});

test('a device in use is refused, whatever its driver', async () => {
  await output('dev add mgmtdev vdpasim_net name net0 driver vhost');
  const node = openSync('/dev/vhost-vdpa-0', 'r+');
  const refused = await vdpa('dev test net0');
  closeSync(node);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /^vdpa: bind net0 to vhost_vdpa: .* It is in use: .*End that first\n$/);
  assert.equal((await results('net0 only status')).status, 0);
});

test('a signal ends the run after a check, and the device is put back', async () => {
  await output('dev add mgmtdev vdpasim_blk name blk0');
  const before = await driverOf('blk0');
  const program = spawn('vdpa', ['dev', 'test', 'blk0'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  program.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const closed = once(program, 'close');
  await once(program.stdout, 'data');
  program.kill('SIGTERM');
  assert.deepEqual(await closed, [143, null]);
  assert.match(stderr, /^Interrupted by SIGTERM/);
  assert.deepEqual(await driverOf('blk0'), before);
});
