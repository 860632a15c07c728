import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkoutRoot } from '../../lab/cache.js';
import { vdpa } from '../support/command-line.js';
import { startFrom } from '../support/kernel/lab/compare.js';
import { SIMULATORS, testsWith, VDUSE } from '../support/kernel/lab/needs.js';

const { after, before, describe, test } = testsWith(VDUSE, ...SIMULATORS);

const MODES = ['', '-j ', '-p ', '-jp '];

/** Queries that work on any machine. */
const questions = [
  'mgmtdev show',
  'mgmtdev show vdpasim_net',
  'mgmtdev show nosuch',
  'mgmtdev show pci/0000:03:00.2',
  'dev show',
  'dev show foo0',
  'dev show nosuch',
  'dev config show',
  'dev config show foo0',
  'dev config show blk0',
  'dev config show nosuch',
  'dev vstats show foo0 qidx 0',
  'dev vstats show foo0 qidx 2',
  'dev vstats show foo0 qidx 3',
  'dev vstats show foo0 qidx 40000',
  'dev vstats show blk0 qidx 0',
  'dev vstats show nosuch qidx 0',
  'dev features show',
  'dev features show foo0',
  'dev stats show',
  'dev stats show foo0',
];

/** The life of some devices, step by step; all queries are made after each step. */
const life = [
  'dev add mgmtdev vdpasim_net name foo0',
  'dev add mgmtdev vdpasim_net name foo0',
  'dev add mgmtdev vdpasim_blk name blk0',
  'dev add mgmtdev vdpasim_net name foo1 mac 00:11:22:33:44:55 mtu 9000',
  'dev add mgmtdev vdpasim_net name foo2 device_features MAC,MTU,CTRL_MAC_ADDR,VERSION_1,ACCESS_PLATFORM',
  'dev add mgmtdev vdpasim_net name foo3 device_features 0x300820000',
  'dev add mgmtdev vdpasim_net name foo4 device_features 20',
  'dev add mgmtdev vdpasim_net name a/b',
  'dev add mgmtdev vdpasim_net name näme',
  'dev add mgmtdev vdpasim_net name virtual',
  'dev add mgmtdev vdpasim_net name foo5 max_vqp 2',
  'dev add mgmtdev vdpasim_net name foo5 max_vqp 0',
  'dev add mgmtdev vdpasim_net name foo5 mtu 67',
  'dev add mgmtdev vdpasim_net name foo5 mac 00:11:22:33:44:55 device_features 0',
  'dev add mgmtdev vdpasim_net name foo5 device_features 400000000',
  'dev add mgmtdev vdpasim_net name foo5 type block',
  'dev add mgmtdev vdpasim_blk name blk1 type block',
  'dev add mgmtdev vdpasim_blk name blk2 mac 00:11:22:33:44:55',
  'dev add mgmtdev nosuch name foo5',
  'dev set name foo0 mac 00:11:22:33:44:66',
  'dev set name foo0 mac 01:11:22:33:44:66',
  'dev set name blk0 mac 00:11:22:33:44:66',
  'dev set name nosuch mac 00:11:22:33:44:66',
  'dev del nosuch',
  'dev del a!b',
  'dev del foo1',
  'dev del foo0',
];

/** Devices whose servers are this tool's own. */
const served = [
  'dev add mgmtdev vduse name vd0',
  'dev add mgmtdev vduse name vd0 type net',
  'dev add mgmtdev vduse name vd0 mac 00:11:22:33:44:55',
  'dev add mgmtdev vduse name vd0 wait 1',
  'dev add mgmtdev vduse name vd0 serve wait 1',
  'dev add mgmtdev vduse name vd0 serve',
  'dev add mgmtdev vduse name vd0',
  'dev add mgmtdev vduse name vd0 serve',
  'dev add mgmtdev vduse name vd0 size 1M',
  'dev add mgmtdev vduse name vd1 size 1M queues 2 queue_size 128 block_size 4096 readonly',
  'dev add mgmtdev vduse name vd2 size 1000',
  'dev add mgmtdev vduse name vd2 serve device_features 300000000',
  'dev add mgmtdev vduse name file0 path /tmp/sim-commands.img',
  'dev add mgmtdev vduse name file0 path /tmp/sim-commands.img size 1000',
  'dev add mgmtdev vduse name file0 path /tmp/sim-commands.img size 8M device_features 300000000',
  'dev add mgmtdev vduse name file0 path /tmp/sim-commands.img',
  'dev add mgmtdev vduse name file0 path /tmp/sim-commands.img size 8M',
  'dev del file0',
  'dev add mgmtdev vduse name file0 path /tmp/sim-commands.img queues 2',
  'dev del file0',
  'dev add mgmtdev vdpasim_net name n0 max_vqp max',
  'dev add mgmtdev vduse name n0 max_vqp max',
  'dev add mgmtdev vduse name control',
  'dev add mgmtdev vduse name control serve',
  'dev add mgmtdev vduse name net0 type net serve',
  'dev add mgmtdev vduse name net1 type net mac 00:11:22:33:44:55 mtu 9000 queues 2',
  'dev del vd0',
  'dev del vd0',
  'dev add mgmtdev vduse name vd0 serve',
  'dev del vd0',
  'dev del vd1',
  'dev del net0',
  'dev del net1',
];

describe('the same lines print the same on the simulation and on this kernel', () => {
  let folder: string;
  let simulated: Record<string, string>;

  before(async () => {
    await startFrom([]);
    folder = mkdtempSync(join(tmpdir(), 'vdpa-sim-'));
    simulated = { VDPA_SIM: '1', VDPA_SIM_STATE: join(folder, 'sim.json') };
  });

  after(async () => {
    await startFrom([]);
    rmSync(folder, { recursive: true });
  });

  const same = async (line: string, env: Record<string, string> = {}): Promise<void> => {
    const expected = await vdpa(line, { env });
    assert.deepEqual(await vdpa(line, { env: simulated }), expected, `vdpa ${line}`);
  };
  const askAll = async (): Promise<void> => {
    for (const question of questions) for (const mode of MODES) await same(mode + question);
  };

  test('of a machine without devices', askAll);

  for (const step of life) {
    test(step, async () => {
      await same(step);
      await askAll();
    });
  }

  test('VDUSE devices with a server, as requested', async () => {
    await startFrom([]);
    await vdpa('sim reset', { env: simulated });
    for (const step of served) {
      await same(step);
      for (const question of ['dev show', 'dev config show', 'dev features show', '-jp dev config show']) {
        await same(question);
      }
    }
  });

  test("the demo's tour", async () => {
    await startFrom([]);
    await vdpa('sim reset', { env: simulated });
    const tour = readFileSync(join(checkoutRoot, 'scripts/demo.txt'), 'utf8').trim().split('\n');
    assert.ok(tour.length > 5);
    // On this machine, unlike in the simulation, no other program serves a device.
    for (const line of tour) await same(line.replace(/^vdpa /, ''), { VDPA_VDUSE_SERVE: '1' });
  });
});
