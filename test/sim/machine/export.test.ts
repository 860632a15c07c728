import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { SimulatedFiles } from '../../../src/sim/machine/files/simulated-files.js';
import { FileStore } from '../../../src/sim/state/file-store.js';
import { VdpaBus } from '../../../src/sysfs/bus.js';
import { LocalFiles } from '../../../src/sysfs/machine-files.js';
import { vdpa } from '../../support/command-line.js';

const folder = mkdtempSync(join(tmpdir(), 'vdpa-export-'));
after(() => {
  rmSync(folder, { recursive: true });
});
const env = { VDPA_SIM: '1', VDPA_SIM_STATE: join(folder, 'sim.json') };

async function run(line: string): Promise<void> {
  assert.deepEqual(await vdpa(line, { env }), { status: 0, stdout: '', stderr: '' }, line);
}

test('the files of a machine are written, and brought up to date', async () => {
  const root = join(folder, 'machine');
  const bus = new VdpaBus(new LocalFiles(root));
  const same = (): void => {
    const simulated = new VdpaBus(new SimulatedFiles(new FileStore(env.VDPA_SIM_STATE)));
    assert.deepEqual(bus.devices(), simulated.devices());
    assert.deepEqual(bus.drivers(), simulated.drivers());
  };
  await run('dev add mgmtdev vdpasim_net name foo0');
  await run('dev add mgmtdev vdpasim_blk name blk0');
  await run('dev add mgmtdev vduse name foo1 serve');
  await run('dev add mgmtdev vdpasim_net name vm0 driver vhost');
  await run(`sim export ${root}`);
  same();
  assert.equal(readFileSync(join(root, 'sys/class/net/eth0/device/modalias'), 'utf8'), 'virtio:d00000001v00000000\n');
  assert.equal(
    realpathSync.native(`${root}/sys/class/block/vda/device/..`),
    realpathSync.native(join(root, 'sys/devices/blk0')),
  );
  assert.deepEqual(readdirSync(join(root, 'dev')).sort(), ['iommu', 'vda', 'vdb', 'vduse', 'vhost-vdpa-0']);
  await run('dev bind foo0 driver vhost');
  await run('dev del vm0');
  await run('dev del foo1');
  await run(`sim export ${root}`);
  same();
  assert.deepEqual(readdirSync(join(root, 'dev')).sort(), ['iommu', 'vda', 'vduse', 'vhost-vdpa-1']);
  assert.equal(existsSync(join(root, 'sys/devices/vm0')), false);
});

test('a folder with other files is left alone', async () => {
  const root = join(folder, 'other');
  mkdirSync(root);
  writeFileSync(join(root, 'mine'), 'text');
  const { status, stderr } = await vdpa(`sim export ${root}`, { env });
  assert.equal(status, 1);
  assert.match(stderr, /ENOTEMPTY.*It contains mine: use a new folder/);
  assert.deepEqual(readdirSync(root), ['mine']);
});
