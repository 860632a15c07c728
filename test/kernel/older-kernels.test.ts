/**
 * Features that older kernels lack: on each kernel they work, or the error says that this kernel does not support them.
 * docs/kernels.md lists the kernels on which this file was run.
 */
import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { VdpaClient } from '../../src/vdpa/client.js';
import { VDPA_ATTR_DEV_BLK_FLUSH, VDPA_CMD_DEV_ATTR_SET } from '../../src/vdpa/uapi.js';
import { json, output, vdpa } from '../support/command-line.js';
import { startFrom } from '../support/kernel/lab/compare.js';
import { needs, SIMULATORS, VDUSE } from '../support/kernel/lab/needs.js';
import { start } from '../support/kernel/servers/vduse.js';

const client = await VdpaClient.open();
const { operations, maxAttribute } = client.family;
await client.close();

const needsSimulators = needs(...SIMULATORS);

after(async () => {
  await startFrom([]);
});

test('a device is changed, or the error says that this kernel does not support it', needsSimulators, async () => {
  await startFrom(['dev add mgmtdev vdpasim_net name foo0']);
  const { status, stderr } = await vdpa('dev set name foo0 mac 02:00:00:00:00:01');
  if (operations.some(({ command }) => command === VDPA_CMD_DEV_ATTR_SET)) {
    assert.deepEqual([status, stderr], [0, '']);
    return;
  }
  assert.deepEqual(
    [status, stderr],
    [
      1,
      'kernel answers: Operation not supported\nChanging a device is not supported by this kernel: Linux 6.12 has it\n',
    ],
  );
});

test('the configuration of a disk is shown, or the error says that this kernel does not', needsSimulators, async () => {
  await startFrom(['dev add mgmtdev vdpasim_blk name blk0']);
  const { status, stdout, stderr } = await vdpa('dev config show blk0');
  if (maxAttribute >= VDPA_ATTR_DEV_BLK_FLUSH) {
    assert.match(stdout, /^blk0: capacity /);
    return;
  }
  assert.deepEqual(
    [status, stdout, stderr],
    [
      1,
      '',
      'kernel answers: Operation not supported\n' +
        'This kernel shows the configuration of network devices only: Linux 6.12 shows that of block devices too\n',
    ],
  );
});

test('the features that a network device offers are shown', needsSimulators, async () => {
  await startFrom(['dev add mgmtdev vdpasim_net name foo0 device_features 300020020']);
  const { features } = (await json('dev features show foo0')) as {
    features: Record<string, { device_features: string[] }>;
  };
  assert.deepEqual(features['foo0']?.device_features, ['MAC', 'CTRL_VQ', 'VERSION_1', 'ACCESS_PLATFORM']);
});

test('a VDUSE network device is created, or the error says that this kernel supports none', needs(VDUSE), async () => {
  const isServed = (await output('mgmtdev show vduse')).includes(' net');
  const server = start('vdpa', 'dev', 'add', 'mgmtdev', 'vduse', 'name', 'net0', 'type', 'net', 'backend', 'loopback');
  const { status, stderr } = await server;
  if (isServed) {
    assert.deepEqual([status, stderr], [0, '']);
    await output('dev del net0');
    return;
  }
  assert.equal(status, 1);
  assert.match(stderr, /vduse does not support net devices; supported: block/);
  const served = await start('vdpa', 'vduse', 'serve', 'name', 'net0', 'type', 'net', 'backend', 'loopback');
  assert.equal(served.status, 1);
  assert.match(served.stderr, /Network devices of VDUSE are not supported by this kernel: Linux 6\.12 has them/);
});
