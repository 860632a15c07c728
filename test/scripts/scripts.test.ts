// Scripts as operators and public projects have them, unchanged on the simulated machine. Each names where its commands are from.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { checkoutRoot } from '../../lab/cache.js';
import { lines, type Outcome } from '../support/command-line.js';
import { needs } from '../support/kernel/lab/needs.js';
import { program, programEnv } from '../support/simulating-program.js';

const folder = mkdtempSync(join(tmpdir(), 'vdpa-scripts-'));
const record = join(folder, 'record.jsonl');
/** The files of the machine of the last run. */
const files = join(folder, 'files');
after(() => {
  rmSync(folder, { recursive: true });
});

/** The end of a script: its outcome, the requests that changed something, and the devices that were left. */
interface Run extends Outcome {
  readonly changes: readonly string[];
  readonly left: readonly string[];
}

/** A description of contrib/machines. */
function described(name: string): { readonly mgmtdev: Readonly<Record<string, object>> } {
  return JSON.parse(readFileSync(join(checkoutRoot, `contrib/machines/${name}.json`), 'utf8')) as {
    mgmtdev: Record<string, object>;
  };
}

/** Runs bash on a machine: the default one, one of contrib/machines, or one that is described here. */
function run(machine: string | object | undefined, script: string): Run {
  rmSync(files, { recursive: true, force: true });
  const path =
    typeof machine === 'string' ? join(checkoutRoot, `contrib/machines/${machine}.json`) : join(folder, 'm.json');
  if (typeof machine === 'object') writeFileSync(path, JSON.stringify(machine));
  const words = [
    ...(machine === undefined ? [] : ['machine', path]),
    'record',
    record,
    'export',
    files,
    '--',
    'bash',
    '--norc',
    '-c',
    script,
  ];
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, 'sim', 'run', ...words], {
    cwd: join(checkoutRoot, 'test/scripts'),
    env: programEnv,
    encoding: 'utf8',
    timeout: 120_000,
  });
  const entries = readFileSync(record, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const changes = entries.flatMap(({ type, command, attributes }) =>
    type === 'request' && (command === 'DEV_NEW' || command === 'DEV_DEL')
      ? [`${command} ${String((attributes as Record<string, unknown>)['DEV_NAME'])}`]
      : [],
  );
  const devices = entries.at(-1)?.['devices'] as readonly { readonly name: string }[];
  return { status: status ?? -1, stdout, stderr, changes, left: devices.map(({ name }) => name) };
}

describe('an operator provisions every management device', () => {
  const card = {
    driver: 'mlx5_vdpa',
    max_supported_vqs: 65,
    dev_features: ['MAC', 'MTU', 'VERSION_1', 'ACCESS_PLATFORM'],
  };
  const host = {
    mgmtdev: { vdpasim_net: {}, vdpasim_blk: {}, vduse: {}, 'pci/0000:03:00.2': card, 'pci/0000:03:00.3': card },
  };
  // Only root can give the files of nodes away.
  const owner = userInfo().uid === 0 ? 'nobody' : userInfo().username;

  test('twice, with the same result, and removes everything', needs('jq'), () => {
    const shown = lines(
      'vm0 vdpasim_net 02:00:00:00:00:00 /dev/vhost-vdpa-0',
      'vm1 pci/0000:03:00.2 02:00:00:00:00:01 /dev/vhost-vdpa-1',
      'vm2 pci/0000:03:00.3 02:00:00:00:00:02 /dev/vhost-vdpa-2',
    );
    const script = `for n in 1 1 0 0; do ./provision.sh $n ${owner} || exit; done`;
    for (const bus_driver of ['virtio_vdpa', 'vhost_vdpa']) {
      const { status, stdout, stderr, changes, left } = run({ ...host, bus_driver }, script);
      assert.deepEqual([status, stderr], [0, ''], bus_driver);
      assert.equal(stdout, `${shown}${shown}${lines('vm0 removed', 'vm1 removed', 'vm2 removed')}`);
      const adds = ['DEV_NEW vm0', 'DEV_NEW vm1', 'DEV_NEW vm2'];
      assert.deepEqual(changes, [...adds, ...adds.map((line) => line.replace('NEW', 'DEL'))]);
      assert.deepEqual(left, []);
    }
  });

  test('and stops at a card that has no room for a second device', needs('jq'), () => {
    const { status, stderr, left } = run(host, `./provision.sh 2 ${owner}`);
    assert.deepEqual([status, stderr], [1, 'kernel answers: No space left on device\n']);
    assert.deepEqual(left, ['vm0', 'vm1', 'vm2']);
  });
});

describe('public projects', () => {
  test('sriov-network-operator, on a card with 32 pairs', () => {
    const { status, stdout, stderr, changes, left } = run('mlx5-vf', './sriov-network-operator.sh 0000:41:04.2 vhost');
    assert.deepEqual([status, stderr, left], [0, '', []]);
    const name = 'vdpa:0000:41:04.2';
    const shown = `${name}: type network mgmtdev pci/0000:41:04.2 vendor_id 5555 max_vqs 65 max_vq_size 256`;
    assert.equal(stdout, lines(shown, 'vhost_vdpa', shown, 'vhost_vdpa'));
    assert.deepEqual(changes, [`DEV_NEW ${name}`, `DEV_DEL ${name}`, `DEV_DEL ${name}`]);
  });

  test('sriov-network-operator, on a card whose pairs are fixed', () => {
    const { status, stdout, changes } = run('ifcvf', './sriov-network-operator.sh 0000:01:00.5 virtio');
    assert.equal(status, 0);
    assert.match(stdout, /^(vdpa:0000:01:00\.5: .* max_vqs 9 max_vq_size 256\nvirtio_vdpa\n){2}$/);
    assert.deepEqual(
      changes.map((line) => line.slice(0, 7)),
      ['DEV_NEW', 'DEV_NEW', 'DEV_DEL', 'DEV_DEL'],
    );
  });

  for (const [driver, disk, netdev] of [
    ['vhost', '/dev/vhost-vdpa-0', '/dev/vhost-vdpa-1'],
    ['virtio', 'vda', 'eth0'],
  ] as const) {
    test(`tests for avocado-vt, on the simulators of the kernel, with ${driver}`, () => {
      const machine = { mgmtdev: { vdpasim_net: {}, vdpasim_blk: {} }, bus_driver: `${driver}_vdpa` };
      const { status, stdout, stderr, left } = run(machine, `./avocado-vt.sh ${driver}`);
      assert.deepEqual([status, stderr, left], [0, '', []]);
      assert.match(stdout, /"vdpa_blk_test": \{\n {12}"type": "block",\n/);
      assert.match(stdout, /"vdpa_net_test": \{\n {12}"type": "network",\n/);
      assert.ok(stdout.includes(lines(`vdpa_blk_test ${disk}`, `vdpa_net_test ${netdev}`)), stdout);
    });
  }

  test('LXD, next to a device that has its first name', needs('jq'), () => {
    const [card = {}] = Object.values(described('mlx5-sf').mgmtdev);
    const machine = { mgmtdev: { vdpasim_net: {}, 'pci/0000:08:00.2': card }, bus_driver: 'vhost_vdpa' };
    const script = 'vdpa dev add name vdpa0 mgmtdev vdpasim_net && ./lxd.sh 0000:08:00.2';
    const { status, stdout, stderr, left } = run(machine, script);
    const shown = lines('vdpa1 pci/0000:08:00.2 33', 'vdpa1 /dev/vhost-vdpa-1');
    assert.deepEqual([status, stdout, stderr, left], [0, shown, '', ['vdpa0']]);
    // The machine itself uses it.
    const used = run({ ...machine, bus_driver: 'virtio_vdpa' }, script);
    assert.deepEqual([used.status, used.stderr], [1, 'No vhost-vdpa device found for vdpa1\n']);
  });

  test('a fork of CloudStack, after an earlier boot left its device', () => {
    const script = './cloudstack.sh 0000:41:04.2 vdpa-aabbccddeeff aa:bb:cc:dd:ee:ff';
    const { status, stdout, stderr, changes, left } = run(
      { ...described('mlx5-vf'), $schema: undefined, bus_driver: 'vhost_vdpa' },
      script,
    );
    assert.deepEqual([status, stderr, left], [0, '', []]);
    assert.match(
      stdout,
      /^(?:\/dev\/vhost-vdpa-0\n){2}vdpa-aabbccddeeff: mac aa:bb:cc:dd:ee:ff link up link_announce false max_vq_pairs 16 mtu 1500 \n/,
    );
    assert.deepEqual(
      changes.map((line) => line.slice(4, 7)),
      ['DEL', 'NEW', 'DEL', 'NEW', 'DEL'],
    );
  });

  test("Vitastor's CSI plugin, on a disk that a storage daemon serves", needs('jq'), () => {
    const machine = {
      mgmtdev: { vduse: {} },
      vduse: { 'vitastor-vduse-1': { type: 'block', queues: 16, queue_size: 128 } },
    };
    const { status, stdout, stderr, changes, left } = run(machine, './vitastor-csi.sh vitastor-vduse-1');
    assert.deepEqual([status, stdout, stderr, left], [0, lines('{}', 'vitastor-vduse-1 /dev/vda', '{}'), '', []]);
    assert.deepEqual(changes, ['DEV_NEW vitastor-vduse-1', 'DEV_DEL vitastor-vduse-1']);
    const missing = run(machine, './vitastor-csi.sh vitastor-vduse-2');
    assert.equal(missing.status, 1);
    assert.match(missing.stderr, /kernel answers: Invalid argument/);
  });

  test("Cloud Hypervisor's tests, on the simulators of the kernel", () => {
    const { status, stdout, stderr, left } = run(
      { mgmtdev: { vdpasim_net: {}, vdpasim_blk: {} }, bus_driver: 'vhost_vdpa' },
      './cloud-hypervisor.sh',
    );
    const names = ['vdpa-blk1', 'vdpa-blk2', 'vdpa-net1'];
    assert.deepEqual([status, left], [0, names]);
    assert.deepEqual(Object.keys((JSON.parse(stdout) as { dev: object }).dev), names);
    // The script shows its commands, and fails where chmod does only by what that says.
    assert.doesNotMatch(stderr, /^(?!\+|$)/m);
    const nodes = readdirSync(join(files, 'dev')).filter((name) => name.startsWith('vhost'));
    assert.equal(nodes.length, 3);
    for (const node of nodes) assert.equal(statSync(join(files, 'dev', node)).mode & 0o777, 0o660, node);
  });
});
