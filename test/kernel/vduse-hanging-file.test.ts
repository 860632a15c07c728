import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import * as blk from '../../src/virtio/block.js';
import { FUSE_GETATTR, FUSE_LOOKUP, FUSE_READ, HangingFile } from '../support/kernel/servers/hanging-file.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { ServerProcess } from '../support/kernel/servers/server-process.js';
import { attach, detach, giveToVhost, sh, start, until, type Ran } from '../support/kernel/servers/vduse.js';
import { VhostBlock } from '../support/kernel/drivers/vhost-block.js';
import { DATA } from '../../src/vhost/driver.js';

const { test } = testsWith(VDUSE, '/dev/fuse');

const MIB = 1024 * 1024;
const VDPA = '/run/bin/vdpa';
/** Far less than the time after which a hung thread is abandoned. */
const SOON_MS = 8000;

const { VIRTIO_BLK_T_IN: IN, VIRTIO_BLK_S_OK: OK } = blk;

test('a file that hangs while the guest is idle delays no reset, and "vduse show" reports it', async (context) => {
  const file = await HangingFile.mount(context, MIB);
  await sh(`${VDPA} dev add mgmtdev vduse name hung path ${file.path}`);
  const driver = new VhostBlock(await giveToVhost('hung'));
  driver.start();
  assert.equal(driver.request(IN, 8, 512), OK);
  file.hang();
  await until('the file is measured', () => file.holds(FUSE_GETATTR));
  for (let round = 0; round < 2; round++) {
    const before = performance.now();
    driver.start();
    const took = performance.now() - before;
    assert.ok(took < SOON_MS, `a reset took ${took} ms`);
  }
  const shown = await until('it shows', async () => {
    const { vduse } = JSON.parse(await sh(`${VDPA} -j vduse show hung`)) as {
      vduse: { hung: { stalled?: number; state: string } };
    };
    return vduse.hung.stalled !== undefined && vduse.hung;
  });
  assert.ok((shown.stalled ?? 0) >= 2);
  assert.equal(shown.state, 'running');
  assert.match(await sh(`${VDPA} vduse show hung`), / state running stalled \d+ attached true /);
  file.goOn();
  driver.checkService(1);
  await until('it answers again', async () => !(await sh(`${VDPA} vduse show hung`)).includes('stalled'));
  driver.close();
  await sh(`${VDPA} dev del hung`);
});

for (const [how, line] of [
  ['in the foreground', ''],
  ['under a supervisor', 'restart on'],
] as const) {
  test(`a file that hangs when it is opened, ${how}: "vduse show" reports it, and it is served once it responds`, async (context) => {
    const file = await HangingFile.mount(context, MIB);
    file.hang();
    const server = start(VDPA, ...`vduse serve name slow path ${file.path} ${line}`.trimEnd().split(' '));
    let ended: Ran | undefined;
    void server.then((result) => (ended = result));
    await until('the file is looked up', () => {
      assert.equal(ended, undefined, 'the server has ended');
      return file.holds(FUSE_LOOKUP);
    });
    for (let round = 0; round < 3; round++) {
      assert.match(await sh(`${VDPA} vduse show slow`), /^slow: .*state starting .*attached false/);
    }
    file.goOn();
    await until('it is served', async () => (await sh(`${VDPA} vduse show slow`)).includes('state idle'));
    await sh(`${VDPA} vduse del slow`);
    assert.deepEqual(await server, { status: 0, stdout: '', stderr: '' });
  });
}

test('a read blocked in the file system during a reset of the guest writes nothing to its memory', async (context) => {
  const file = await HangingFile.mount(context, MIB);
  const server = await ServerProcess.start({ name: 'waits', backend: { type: 'file', path: file.path } });
  await attach('waits');
  const driver = new VhostBlock(await giveToVhost('waits'));
  driver.start();
  file.hang();
  const buffer = { iova: DATA + 0x1000, length: 4096, writable: true };
  driver.offer(driver.ring().chain([driver.header(DATA, IN, 1024), buffer, driver.statusByte(DATA + 0x100)]));
  await until('the read blocks', () => file.holds(FUSE_READ));
  const status = await until('it shows', async () => (await server.device('waits')).stalledSeconds);
  assert.ok(status >= 2);
  driver.vhost.status = 0;
  assert.equal(driver.vhost.status, 0);
  const before = driver.memory.u8.slice();
  file.goOn();
  await until('it answers again', async () => (await server.device('waits')).stalledSeconds === undefined);
  assert.deepEqual(driver.memory.u8, before);
  driver.start();
  driver.checkService(1);
  driver.close();
  await detach('waits');
  await server.stop();
});
