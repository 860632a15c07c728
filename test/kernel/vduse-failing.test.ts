import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { statSync, truncateSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { VduseServer } from '../../src/vduse/server.js';
import { dd, lowerDisk, MEASURED_MS } from '../support/kernel/servers/failing-disk.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { bash, blockDevice, detach, mountPoint, sh, until } from '../support/kernel/servers/vduse.js';

const { test } = testsWith(VDUSE);

const MIB = 1024 * 1024;
const VDPA = '/run/bin/vdpa';

interface Shown {
  readonly pid?: number;
  readonly state?: string;
  readonly size?: number;
}

async function show(name: string): Promise<Shown> {
  const shown = JSON.parse(await sh(`${VDPA} -j vduse show ${name}`)) as { vduse: Record<string, Shown> };
  return shown.vduse[name] ?? {};
}

const errorsOf = (server: VduseServer): number => server.status().queues.reduce((sum, { errors }) => sum + errors, 0);

test('EIO of the backend: an I/O error for the driver, counted, and the service continues', async (context) => {
  const { path, disk: lower } = await lowerDisk(context);
  const { disk, server } = await blockDevice(context, { name: 'upper', backend: { type: 'file', path: lower } });
  assert.ok(await dd(`if=${disk}`, 'of=/dev/null', 'count=16', 'iflag=direct'));
  assert.equal(errorsOf(server), 0);
  truncateSync(path, 4 * MIB);
  assert.equal(await dd(`if=${disk}`, 'of=/dev/null', 'skip=2048', 'count=1', 'iflag=direct'), false);
  const counted = errorsOf(server);
  assert.ok(counted > 0);
  assert.ok(await dd(`if=${disk}`, 'of=/dev/null', 'count=16', 'iflag=direct'));
  truncateSync(path, 16 * MIB);
  assert.ok(await dd(`if=${disk}`, 'of=/dev/null', 'skip=2048', 'count=1', 'iflag=direct'));
  assert.equal(errorsOf(server), counted);
});

test('ENOSPC of the backend: an I/O error for the driver, counted, and the service continues', async (context) => {
  const folder = mountPoint('small');
  await sh(`mount -t tmpfs -o size=8m tmpfs ${folder}`);
  context.after(() => sh(`umount -l ${folder}`));
  await bash(`truncate -s 64M ${folder}/disk`);
  const backend = { type: 'file', path: `${folder}/disk` } as const;
  const { disk, server } = await blockDevice(context, { name: 'full', backend });
  assert.equal(await dd('if=/dev/zero', `of=${disk}`, 'count=4096', 'oflag=direct'), false);
  assert.ok(errorsOf(server) > 0);
  assert.ok(await dd(`if=${disk}`, 'of=/dev/null', 'count=4096', 'iflag=direct'));
  await sh(`blkdiscard ${disk}`);
  assert.equal(statSync(`${folder}/disk`).blocks, 0);
  assert.ok(await dd('if=/dev/zero', `of=${disk}`, 'count=1024', 'oflag=direct'));
});

test('truncated file: I/O error for the missing part, counted, and service of the rest', async (context) => {
  const path = '/tmp/truncated';
  await bash(`rm -f ${path}; truncate -s 16M ${path}`);
  const { disk, server } = await blockDevice(context, { name: 'cut', backend: { type: 'file', path } });
  truncateSync(path, 8 * MIB);
  assert.equal(await dd(`if=${disk}`, 'of=/dev/null', 'skip=3000', 'count=1', 'iflag=direct'), false);
  assert.ok(errorsOf(server) > 0);
  await sleep(MEASURED_MS);
  assert.equal(await dd('if=/dev/zero', `of=${disk}`, 'seek=3000', 'count=1', 'oflag=direct'), false);
  assert.equal(statSync(path).size, 8 * MIB);
  assert.ok(await dd('if=/dev/zero', `of=${disk}`, 'seek=1000', 'count=1', 'oflag=direct', 'conv=fsync'));
});

test('block device that disappears: I/O errors for the driver, counted, and the server survives', async (context) => {
  const { disk: lower } = await lowerDisk(context);
  const { disk, server } = await blockDevice(context, { name: 'upper', backend: { type: 'file', path: lower } });
  assert.ok(await dd('if=/dev/zero', `of=${disk}`, 'count=16', 'oflag=direct', 'conv=fsync'));
  await detach('lower');
  assert.equal(await dd('if=/dev/zero', `of=${disk}`, 'count=16', 'oflag=direct', 'conv=fsync'), false);
  assert.equal(await dd(`if=${disk}`, 'of=/dev/null', 'skip=2048', 'count=1', 'iflag=direct'), false);
  assert.ok(errorsOf(server) > 0);
  assert.equal(server.state, 'running');
});

test('file that grows under a device that the kernel has given up on: the server continues', async (context) => {
  const path = '/tmp/given-up.img';
  await bash(`rm -f ${path}; truncate -s 1M ${path}`);
  await sh(`${VDPA} dev add mgmtdev vduse name givenup path ${path}`);
  context.after(() => bash(`${VDPA} dev del givenup 2>/dev/null; rm -f ${path}`));
  const { pid } = await show('givenup');
  assert.ok(pid !== undefined);
  // Nothing answers the reset in time.
  await bash(`echo 1 >/sys/class/vduse/givenup/msg_timeout; kill -STOP ${pid}`);
  await bash('echo givenup >/sys/bus/vdpa/drivers/virtio_vdpa/unbind');
  process.kill(pid, 'SIGCONT');
  await until('the device is given up', async () => (await show('givenup')).state === 'broken');
  truncateSync(path, 2 * MIB);
  await until('the growth is seen', async () => (await show('givenup')).size === 2 * MIB);
  assert.equal((await show('givenup')).pid, pid);
});
