/** The simulated machine, as the tests of other programs use it. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkoutRoot } from '../../lab/cache.js';
import { VdpaClient } from '../../src/index.js';
import { simulate } from '../../src/testing/index.js';

test('it returns a transport to a separate machine', async () => {
  const client = await VdpaClient.open({ transport: simulate() });
  assert.deepEqual(
    (await client.managementDevices()).map(({ handle }) => handle),
    ['vdpasim_net', 'vdpasim_blk', 'vduse'],
  );
  await client.addDevice({ name: 'foo0', managementDevice: 'vdpasim_net', mac: '02:00:00:00:00:01' });
  const config = await client.deviceConfig('foo0');
  assert.equal(config.kind === 'net' && config.mac, '02:00:00:00:00:01');
  const other = await VdpaClient.open({ transport: simulate() });
  assert.deepEqual(await other.devices(), []);
});

test('several sockets see one machine, and an unprivileged user cannot change it', async () => {
  const machine = simulate();
  const root = await VdpaClient.open({ transport: machine });
  const user = await VdpaClient.open({ transport: machine.connect({ uid: 1000 }) });
  await assert.rejects(user.addDevice({ name: 'foo0', managementDevice: 'vdpasim_net' }), { code: 'EPERM' });
  await root.addDevice({ name: 'foo0', managementDevice: 'vdpasim_net' });
  assert.deepEqual(
    (await user.devices()).map(({ name }) => name),
    ['foo0'],
  );
  await Promise.all([root.close(), user.close()]);
});

test('hardware can be described, and faults occur as often as specified', async () => {
  const machine = simulate({
    machine: {
      mgmtdev: { 'pci/0000:03:00.2': { max_devices: 2, dev_features: ['MAC', 'MTU', 'VERSION_1', 'ACCESS_PLATFORM'] } },
    },
    faults: [{ command: 'dev add', errno: 'ENOSPC', message: 'no room', times: 1 }],
  });
  const client = await VdpaClient.open({ transport: machine });
  const device = { name: 'vdpa0', managementDevice: 'pci/0000:03:00.2' };
  await assert.rejects(client.addDevice(device), { code: 'ENOSPC', kernelMessage: 'no room' });
  await client.addDevice(device);
  assert.equal((await client.device('vdpa0')).managementDevice, 'pci/0000:03:00.2');
});

test('a description that violates the schema is rejected', () => {
  const machine = { mgmtdev: { vdpasim_net: { max_devices: 'many' } } };
  const options: object = { machine };
  assert.throws(() => simulate(options), { name: 'SimulationError', message: /^The option "machine".*max_devices/ });
});

test('the example of docs/library.md runs', async () => {
  const example = /\n## Tests of your own\n[^#]*?```ts\n([^]*?)```/.exec(
    readFileSync(join(checkoutRoot, 'docs/library.md'), 'utf8'),
  )?.[1];
  assert.ok(example);
  const sources = new URL('../../src/', import.meta.url).href;
  const file = join(checkoutRoot, 'build/test/testing/example.mjs');
  const code = example
    .replace("from 'vdpa'", `from '${sources}index.js'`)
    .replace("from 'vdpa/testing'", `from '${sources}testing/index.js'`);
  writeFileSync(file, code);
  try {
    await import(file);
  } finally {
    rmSync(file);
  }
});
