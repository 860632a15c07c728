/** What becomes of a new device: its driver, its node, interface or disk, and its backing file. */
import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { explainUnusable } from '../../src/host/usable-device.js';
import { VdpaBus } from '../../src/sysfs/bus.js';
import { output, vdpa } from '../support/command-line.js';
import { nothingLeft } from '../support/kernel/lab/leftovers.js';
import { needs, SIMULATORS, testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { bash, giveToVhost } from '../support/kernel/servers/vduse.js';
import { checkOutput } from '../support/output-schemas.js';

const { afterEach, describe, test } = testsWith(VDUSE);

const ADD = 'dev add mgmtdev vduse name';
const NET = 'dev add mgmtdev vdpasim_net name';

afterEach(nothingLeft);

/** Runs `work` while no driver of a bus probes devices automatically. */
async function withoutProbing(bus: 'vdpa' | 'virtio', work: () => Promise<void>): Promise<void> {
  await bash(`echo 0 > /sys/bus/${bus}/drivers_autoprobe`);
  try {
    await work();
  } finally {
    await bash(`echo 1 > /sys/bus/${bus}/drivers_autoprobe`);
  }
}

describe('a server was requested, but no disk or interface appears', () => {
  for (const [words, wanted] of [
    ['serve', 'disk'],
    ['type net serve', 'network interface'],
  ] as const) {
    test(`no driver is bound to it: "${words}"`, () =>
      withoutProbing('vdpa', async () => {
        assert.deepEqual(await vdpa(`${ADD} foo0 ${words}`), {
          status: 0,
          stdout: '',
          stderr: `Warning: foo0 is not available as a ${wanted} of this machine: no driver is bound to it. To use it here, run "vdpa dev bind foo0 driver virtio".\n`,
        });
        const bus = new VdpaBus();
        const node = await giveToVhost('foo0');
        assert.equal(
          explainUnusable(bus, 'foo0', wanted),
          `foo0 is not available as a ${wanted} of this machine: it is bound to vhost_vdpa as ${node}. To use it here, run "vdpa dev bind foo0 driver virtio".`,
        );
        await output('dev bind foo0 driver virtio');
        assert.equal(explainUnusable(bus, 'foo0', wanted), undefined);
        await output('dev del foo0');
      }));
  }

  test('no warning about a driver that was named', async () => {
    assert.equal(await output(`${ADD} foo0 serve driver vhost`), '');
    await output('dev del foo0');
  });
});

describe('dev add with -d shows the device as dev show does', () => {
  for (const [line, what] of [
    [`${ADD} foo0 serve`, 'block /dev/vda'],
    [`${ADD} foo0 serve driver vhost`, 'vhost /dev/vhost-vdpa-0'],
    [`${ADD} foo0 type net serve`, 'netdev eth0'],
  ] as const) {
    test(line, async () => {
      const shown = await output(`-d ${line}`);
      assert.match(shown, new RegExp(` ${what}( |$)`, 'm'));
      assert.equal(await output('-d dev show foo0'), shown);
      if (line.includes('block') || line.includes('vhost')) assert.ok(existsSync(what.split(' ')[1] ?? ''));
      await output('dev del foo0');
      const document = await output(`-j -d ${line}`);
      checkOutput('dev-show', document);
      assert.equal(await output('-j -d dev show foo0'), document);
      await output('dev del foo0');
    });
  }

  test('a device of a simulator', needs(...SIMULATORS), async () => {
    const shown = await output(`-d ${NET} foo0`);
    assert.match(
      shown,
      /^foo0: type network .*\n {2}driver virtio_vdpa virtio virtio\d+ virtio_driver virtio_net netdev eth0/,
    );
    await output('dev del foo0');
  });

  test('no driver is bound to it: it is shown immediately', () =>
    withoutProbing('vdpa', async () => {
      const { status, stdout, stderr } = await vdpa(`-d ${ADD} foo0 serve`);
      assert.equal(status, 0);
      assert.match(stdout, /^foo0: type block .*\n {2}driver \(none\)/);
      assert.match(stderr, /^Warning: foo0 is not available as a disk of this machine: no driver is bound to it/);
      await output('dev del foo0');
    }));

  test('its disk does not appear: an error says what is missing, and nothing is left behind', () =>
    withoutProbing('virtio', async () => {
      const { status, stdout, stderr } = await vdpa(`-d ${ADD} foo0 serve`);
      assert.deepEqual([status, stdout], [1, '']);
      assert.match(
        stderr,
        /^vdpa: wait for foo0: Connection timed out \(ETIMEDOUT\)\. After 10 s no driver is bound to virtio\d+: modprobe virtio_blk\n$/,
      );
    }));
});

describe('the owner and mode of the node', needs(...SIMULATORS), () => {
  const access = (node: string): readonly unknown[] => {
    const { uid, gid, mode } = statSync(node);
    return [uid, gid, (mode & 0o7777).toString(8)];
  };

  test('are set with dev add and dev bind', async () => {
    await output(`${NET} foo0 driver vhost owner nobody group nogroup mode 0660`);
    assert.deepEqual(access('/dev/vhost-vdpa-0'), [65534, 65534, '660']);
    await output('dev bind foo0 driver vhost owner 12 mode 600');
    assert.deepEqual(access('/dev/vhost-vdpa-0'), [12, 65534, '600']);
    await output('dev del foo0');
    await output(`${NET} foo0`);
    await output('dev bind foo0 driver vhost group 34');
    assert.deepEqual(access('/dev/vhost-vdpa-0'), [0, 34, '600']);
    await output('dev del foo0');
  });

  for (const [words, complaint] of [
    ['driver vhost owner nosuch', 'Unknown user "nosuch"\n'],
    ['driver vhost owner nobody group nosuch', 'Unknown group "nosuch"\n'],
    ['driver vhost owner 4294967295', 'Unknown user "4294967295"\n'],
    ['driver vhost mode 0680', 'Invalid mode "0680": expected three octal digits, as in 0660\n'],
    ['driver vhost mode 4755', 'Invalid mode "4755": expected three octal digits, as in 0660\n'],
    ['driver virtio owner nobody', '"owner" requires "driver vhost": only vhost_vdpa creates /dev/vhost-vdpa-N\n'],
    ['mode 0660', '"mode" requires "driver vhost": only vhost_vdpa creates /dev/vhost-vdpa-N\n'],
  ] as const) {
    test(`rejected before anything is created: "${words}"`, async () => {
      assert.deepEqual(await vdpa(`${NET} foo0 ${words}`), { status: 1, stdout: '', stderr: complaint });
      if (!words.startsWith('driver')) return;
      await output(`${NET} foo1`);
      assert.deepEqual(await vdpa(`dev bind foo1 ${words}`), { status: 1, stdout: '', stderr: complaint });
      assert.match(await output('-d dev show foo1'), /driver virtio_vdpa/);
      await output('dev del foo1');
    });
  }
});

describe('a file that does not exist', () => {
  const file = '/tmp/new.img';

  test('is created if a size is given, sparse and private to its owner; later no size is needed', async () => {
    await output(`${ADD} disk0 path ${file} size 8M`);
    const { size, mode, blocks } = statSync(file);
    assert.deepEqual([size, mode & 0o7777, blocks < 64], [8 * 1024 * 1024, 0o600, true]);
    await output('dev del disk0');
    await output(`${ADD} disk0 path ${file}`);
    assert.match(await output('vduse show disk0'), / size 8388608 /);
    await output('dev del disk0');
    unlinkSync(file);
  });

  test('is an error without a size', async () => {
    const { status, stderr } = await vdpa(`${ADD} disk0 path ${file} queues 4`);
    assert.equal(status, 1);
    assert.match(stderr, /^vdpa: open \/tmp\/new\.img: No such file or directory \(ENOENT\)/);
    assert.ok(!existsSync(file));
  });

  for (const words of ['size 8M device_features 0', 'size 1000', 'size 8M backend ram', 'size 8M user nosuch']) {
    test(`is not left behind if the device cannot be created: "${words}"`, async () => {
      assert.equal((await vdpa(`${ADD} disk0 path ${file} ${words}`)).status, 1);
      assert.ok(!existsSync(file));
      // A file that existed before is kept.
      writeFileSync(file, Buffer.alloc(8 * 1024 * 1024, 'x'));
      assert.equal((await vdpa(`${ADD} disk0 path ${file} ${words}`)).status, 1);
      assert.equal(statSync(file).size, 8 * 1024 * 1024);
      unlinkSync(file);
    });
  }

  test('is not created through a symbolic link', async () => {
    symlinkSync('/tmp/elsewhere.img', file);
    assert.equal((await vdpa(`${ADD} disk0 path ${file} size 8M`)).status, 1);
    assert.ok(!readdirSync('/tmp').includes('elsewhere.img'));
    unlinkSync(file);
  });
});
