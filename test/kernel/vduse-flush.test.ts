import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { existsSync, readdirSync, truncateSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { dd, lowerDisk, MEASURED_MS } from '../support/kernel/servers/failing-disk.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { blockDevice, diskOf, sh, start, until } from '../support/kernel/servers/vduse.js';

const { test } = testsWith(VDUSE);

const MIB = 1024 * 1024;
const VDPA = '/run/bin/vdpa';

/** Writes to a disk and flushes it. Returns whether both succeeded. */
const write = (disk: string): Promise<boolean> =>
  dd('if=/dev/zero', `of=${disk}`, 'seek=2048', 'count=4', 'oflag=direct', 'conv=fsync,notrunc');

/**
 * Makes a flush of an upper disk fail by truncating the lower one's file. The lower disk has its full size again when this
 * returns; the lost data is gone.
 */
async function failFlush(upper: string, lower: { readonly path: string; readonly disk: string }): Promise<void> {
  assert.ok(await write(upper));
  truncateSync(lower.path, 4 * MIB);
  await sleep(MEASURED_MS);
  assert.equal(await write(upper), false);
  truncateSync(lower.path, 16 * MIB);
  await sleep(MEASURED_MS);
  assert.ok(await write(lower.disk));
}

interface Shown {
  readonly pid?: number;
  readonly trouble?: string;
}

async function show(name: string): Promise<Shown> {
  const shown = JSON.parse(await sh(`${VDPA} -j vduse show ${name}`)) as { vduse: Record<string, Shown> };
  return shown.vduse[name] ?? {};
}

async function deleted(name: string): Promise<void> {
  await sh(`${VDPA} dev del ${name}`);
  await until('nothing is left behind', () => !existsSync(`/run/vdpa/vduse/${name}`));
  assert.ok(!existsSync(`/dev/vduse/${name}`));
}

test('failed FLUSH: reported, and all later ones fail', async (context) => {
  const lower = await lowerDisk(context);
  // Through the page cache, which loses what it cannot write; a direct write fails by itself.
  const backend = { type: 'file', path: lower.disk, cache: 'writeback' } as const;
  const { disk, server } = await blockDevice(context, { name: 'upper', backend });
  await failFlush(disk, lower);
  assert.ok(server.status().queues.some(({ errors }) => errors > 0));
  // A later flush must not succeed.
  assert.equal(await write(disk), false);
  assert.ok(await dd(`if=${disk}`, 'of=/dev/null', 'count=16', 'iflag=direct'));
});

test('failed FLUSH: known to the successor of a killed server, until the device is deleted', async (context) => {
  const lower = await lowerDisk(context);
  const add = `${VDPA} dev add mgmtdev vduse name kept path ${lower.disk} cache writeback restart on`;
  await sh(add);
  const disk = await diskOf('kept');
  await failFlush(disk, lower);
  const { pid = 0, trouble } = await show('kept');
  assert.match(trouble ?? '', /a flush failed/);
  process.kill(pid, 'SIGKILL');
  await until('another server serves', async () => ((await show('kept')).pid ?? pid) !== pid);
  assert.equal(await write(disk), false);
  assert.match((await show('kept')).trouble ?? '', /a flush failed/);
  await deleted('kept');
  await sh(add);
  assert.ok(await write(await diskOf('kept')));
  assert.equal((await show('kept')).trouble, undefined);
  await deleted('kept');
});

test('failed FLUSH: known to the successor of a server that exited normally', async (context) => {
  const lower = await lowerDisk(context);
  await sh(`${VDPA} dev add mgmtdev vduse name kept path ${lower.disk} cache writeback`);
  const disk = await diskOf('kept');
  await failFlush(disk, lower);
  const { pid = 0 } = await show('kept');
  process.kill(pid, 'SIGTERM');
  await until('the server has ended', () => !existsSync(`/proc/${pid}`));
  assert.deepEqual(readdirSync('/run/vdpa/vduse/kept').sort(), ['flush-note', 'inflight', 'instance']);
  const next = start(VDPA, ...`vduse serve name kept path ${lower.disk} cache writeback`.split(' '));
  await until('the next one serves', async () => (await show('kept')).pid !== undefined);
  assert.equal(await write(disk), false);
  await deleted('kept');
  assert.equal((await next).status, 0);
});
