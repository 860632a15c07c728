/** `dev add mgmtdev vduse` on the simulation: it attaches what another program serves, or starts a server on request. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { vdpa, type Outcome } from '../support/command-line.js';

let folder: string;

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'vdpa-add-'));
});
beforeEach(() => {
  rmSync(join(folder, 'sim.json'), { force: true });
});
after(() => {
  rmSync(folder, { recursive: true });
});

const sim = (line: string, variables: NodeJS.ProcessEnv = {}): Promise<Outcome> =>
  vdpa(`--sim ${line}`, { env: { VDPA_SIM_STATE: join(folder, 'sim.json'), ...variables } });
const done: Outcome = { status: 0, stdout: '', stderr: '' };
const ADD = 'dev add mgmtdev vduse name';

test('another program serves foo0 on the default machine: it is attached, and still served when its device is deleted', async () => {
  assert.equal((await sim('vduse show')).stdout, 'foo0: server another program attached false\n');
  assert.deepEqual(await sim(`${ADD} foo0`), done);
  assert.equal((await sim('vduse show')).stdout, 'foo0: server another program attached true\n');
  assert.match(
    (await sim('dev show')).stdout,
    /^foo0: type block mgmtdev vduse vendor_id 0 max_vqs 1 max_vq_size 256\n$/,
  );
  assert.match((await sim('dev config show foo0')).stdout, /^foo0: capacity 131072 /);
  assert.match((await sim(`${ADD} foo0 size 1M`)).stderr, /^foo0 already has a server, .*"size" has no effect/);
  assert.match((await sim(`${ADD} foo0 serve`)).stderr, /kernel answers: File exists/);
  assert.deepEqual(await sim('dev del foo0'), done);
  assert.equal((await sim('vduse show')).stdout, 'foo0: server another program attached false\n');
  assert.match((await sim(`${ADD} foo0 type net`)).stderr, /^foo0 is not a net device: its server provides block\n$/);
  assert.equal((await sim('dev show')).stdout, '');
  for (const command of ['sim init', 'sim reset']) {
    assert.deepEqual(await sim(command), done);
    assert.equal((await sim('vduse show')).stdout, 'foo0: server another program attached false\n');
  }
});

test('without a keyword that asks for a server nothing is served', async () => {
  for (const words of ['', ' type block', ' type net', ' wait 0', ' wait 1', ' mac 00:11:22:33:44:55']) {
    const { status, stdout, stderr } = await sim(`${ADD} bar${words}`);
    assert.deepEqual([status, stdout], [1, ''], words);
    if (words.startsWith(' mac')) {
      assert.match(stderr, /^Error: vdpa: Some provided attributes are not supported: 0x400\.\nkernel answers: Op/);
      assert.doesNotMatch(stderr, /has no server/);
      continue;
    }
    const advice = words === ' type net' ? 'type net serve' : 'size 64M';
    assert.equal(
      stderr,
      'kernel answers: Invalid argument\n' +
        `bar has no server: start one, or run "vdpa dev add mgmtdev vduse name bar ${advice}".\n`,
    );
  }
  assert.equal((await sim('dev show')).stdout, '');
});

test('"serve", an option of the server, or VDPA_VDUSE_SERVE starts one', async () => {
  assert.deepEqual(await sim(`${ADD} a serve`), done);
  assert.deepEqual(await sim(`${ADD} b type net queues 2`), done);
  assert.deepEqual(await sim(`${ADD} c`, { VDPA_VDUSE_SERVE: '1' }), done);
  assert.equal((await sim(`${ADD} d`, { VDPA_VDUSE_SERVE: '0' })).status, 1);
  assert.equal((await sim(`${ADD} d wait 0`, { VDPA_VDUSE_SERVE: '1' })).status, 1);
  assert.deepEqual(await sim(`${ADD} foo0`, { VDPA_VDUSE_SERVE: '1' }), done);
  const shown = (await sim('vduse show')).stdout;
  for (const name of ['a', 'b', 'c']) assert.match(shown, new RegExp(`^${name}: server vdpa type `, 'm'));
  assert.match(shown, /^foo0: server another program attached true$/m);
});

test('options of a server are rejected for other management devices, and with "wait"', async () => {
  for (const [line, complaint] of [
    ['dev add mgmtdev vdpasim_blk name x serve', '"serve" is only supported with mgmtdev vduse\n'],
    ['dev add mgmtdev vdpasim_blk name x wait 1', '"wait" is only supported with mgmtdev vduse\n'],
    [`${ADD} x serve wait 1`, `"wait" and "serve" are mutually exclusive: "wait" is for a server of another program\n`],
    [
      `${ADD} x wait 1 size 1M`,
      `"wait" and "size" are mutually exclusive: "wait" is for a server of another program\n`,
    ],
  ] as const) {
    assert.deepEqual(await sim(line), { status: 1, stdout: '', stderr: complaint });
  }
  assert.equal((await sim(`${ADD} x wait soon`)).status, 1);
});

test('a missing file is recorded if a size is given, and persists across a reboot; no real file is created', async () => {
  const path = join(folder, 'disk.img');
  const missing = { status: 1, stdout: '', stderr: `vdpa: open ${path}: No such file or directory (ENOENT)\n` };
  assert.deepEqual(await sim(`${ADD} d0 path ${path}`), missing);
  assert.equal((await sim(`${ADD} d0 path ${path} size 8M device_features 0`)).status, 1);
  assert.deepEqual(await sim(`${ADD} d0 path ${path}`), missing);
  assert.deepEqual(await sim(`${ADD} d0 path ${path} size 8M`), done);
  assert.deepEqual(await sim('sim reset'), done);
  assert.deepEqual(await sim(`${ADD} d0 path ${path}`), done);
  assert.match((await sim('vduse show d0')).stdout, / size 8388608 /);
  assert.deepEqual(await sim('sim init'), done);
  assert.deepEqual(await sim(`${ADD} d0 path ${path}`), missing);
  assert.ok(!existsSync(path));
});

test('"max_vqp max" is the number of queue pairs that the management device offers', async () => {
  const machine = join(folder, 'machine.json');
  const hardware = { max_supported_vqs: 17, dev_features: ['MQ', 'CTRL_VQ', 'VERSION_1', 'ACCESS_PLATFORM'] };
  writeFileSync(machine, JSON.stringify({ mgmtdev: { 'pci/0000:03:00.2': hardware, vduse: {} } }));
  assert.deepEqual(await sim(`sim init ${machine}`), done);
  assert.deepEqual(await sim('dev add mgmtdev pci/0000:03:00.2 name foo0 max_vqp max'), done);
  assert.match((await sim('dev config show foo0')).stdout, / max_vq_pairs 8 /);
  assert.deepEqual(await sim(`${ADD} x max_vqp max`), {
    status: 1,
    stdout: '',
    stderr: 'vduse does not report how many queues it offers: give max_vqp as a number\n',
  });
});
