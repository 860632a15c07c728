/** Disks whose requests take a while: many are in flight when something happens to the server or to the disk. */
import '../../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { killInFlight } from '../../support/kernel/drivers/kill-in-flight.js';
import { nothingLeft, runningServers } from '../../support/kernel/lab/leftovers.js';
import { needs } from '../../support/kernel/lab/needs.js';
import { NullDisk } from '../../support/kernel/servers/null-disk.js';
import { errorsOf, show } from '../../support/kernel/servers/shown.js';
import { bash, diskOf, sh, start, until } from '../../support/kernel/servers/vduse.js';

const VDPA = '/run/bin/vdpa';
const KILLS = Number(process.env['VDPA_KILLS'] ?? 3);
const SEED = Number(process.env['VDPA_KILL_SEED'] ?? Math.floor(Date.now() / 86_400_000));

interface LowerDisk {
  readonly path: string;
  readonly remove: () => Promise<unknown>;
}

/** A disk in memory that takes a millisecond for each request. */
const slowDisk = (mebibytes: number): Promise<LowerDisk> => NullDisk.create('waits', { mebibytes, microseconds: 1000 });

/** A disk that is mapped by a table of the device mapper; `sectors` is the size of the disk below. */
async function mappedDisk(name: string, table: (sectors: number) => string): Promise<LowerDisk> {
  const sectors = Number(readFileSync('/sys/block/sda/size', 'utf8'));
  await bash(`dmsetup --noudevsync create ${name} --table '${table(sectors)}'; dmsetup mknodes ${name}`);
  return { path: `/dev/mapper/${name}`, remove: () => bash(`dmsetup --noudevsync remove ${name}`) };
}

/** Serves a disk. @returns the disk that its driver makes of it */
async function serve(context: TestContext, name: string, lower: LowerDisk, options = ''): Promise<string> {
  // Hooks run in the order in which they were registered.
  context.after(async () => {
    await sh(`${VDPA} dev del ${name}`);
    await until('no server is left', () => runningServers().length === 0);
    await lower.remove();
    nothingLeft();
  });
  await sh(`${VDPA} dev add mgmtdev vduse name ${name} path ${lower.path} ${options}`.trim());
  return diskOf(name);
}

test(`${KILLS} servers killed with requests in flight: no error, every block verified`, async (context) => {
  const lower = await slowDisk(32);
  context.after(() => lower.remove());
  await killInFlight(context, lower.path, KILLS, SEED);
  nothingLeft();
});

test(
  'a disk that does not respond: show says so, and requests are completed when it does',
  needs('dmsetup'),
  async (context) => {
    const lower = await mappedDisk('held', (sectors) => `0 ${sectors} linear /dev/sda 0`);
    const disk = await serve(context, 'held0', lower);
    await bash(
      `dd if=/dev/urandom of=/tmp/held bs=1M count=4 status=none; dd if=/tmp/held of=${disk} bs=1M oflag=direct status=none`,
    );
    await bash('dmsetup --noudevsync suspend --noflush held');
    const reading = start('dd', `if=${disk}`, 'of=/tmp/read', 'bs=64k', 'count=64', 'iflag=direct', 'status=none');
    await until('the server reports it', async () => ((await show('held0')).stalled ?? 0) >= 2);
    await bash('dmsetup --noudevsync resume held');
    assert.deepEqual(await reading, { status: 0, stdout: '', stderr: '' });
    await sh('cmp /tmp/held /tmp/read');
    await until('it is over', async () => (await show('held0')).stalled === undefined);
    assert.equal(await errorsOf('held0'), 0);
  },
);

test(
  'a disk that fails for a while: errors for the driver, counted, and service afterwards',
  needs('dmsetup'),
  async (context) => {
    const sectors = Number(readFileSync('/sys/block/sda/size', 'utf8'));
    const flaky = (size: number, up: number, down: number): string => `0 ${size} flakey /dev/sda 0 ${up} ${down}`;
    const lower = await mappedDisk('failing', (sectors) => flaky(sectors, 3600, 0));
    const change = (up: number, down: number): Promise<string> =>
      bash(`dmsetup --noudevsync suspend failing; dmsetup --noudevsync load failing --table '${flaky(sectors, up, down)}'
      dmsetup --noudevsync resume failing`);
    const disk = await serve(context, 'failing0', lower);
    const read = async (): Promise<number | null> =>
      (await start('dd', `if=${disk}`, 'of=/dev/null', 'bs=64k', 'count=16', 'iflag=direct', 'status=none')).status;
    assert.equal(await read(), 0);
    await change(0, 3600);
    assert.notEqual(await read(), 0);
    const errors = await errorsOf('failing0');
    assert.ok(errors > 0);
    await change(3600, 0);
    assert.equal(await read(), 0);
    assert.equal(await errorsOf('failing0'), errors);
    assert.equal((await show('failing0')).state, 'running');
  },
);

test('discards and zeros reach the disk', async (context) => {
  const lower = await slowDisk(16);
  const disk = await serve(context, 'zeros0', lower);
  await bash(`dd if=/dev/urandom of=${disk} bs=1M count=16 oflag=direct status=none`);
  await sh(`blkdiscard -o ${4 << 20} -l ${4 << 20} ${disk}`);
  await sh(`blkdiscard -z -o ${8 << 20} -l ${4 << 20} ${disk}`);
  for (const at of [4, 8]) {
    await bash(`dd if=${lower.path} bs=1M skip=${at} count=4 iflag=direct status=none | cmp -n ${4 << 20} - /dev/zero`);
  }
  assert.equal(await errorsOf('zeros0'), 0);
});
