/** The simulated machine, as the tests of other programs use it. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkoutRoot } from '../../lab/cache.js';
import { VdpaClient, VdpaMonitor, addBoundDevice, bindDriver, findDevices } from '../../src/index.js';
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

test('its bus has the drivers, and what they make of devices', async () => {
  const machine = simulate();
  const client = await VdpaClient.open({ transport: machine });
  const { bus } = machine;
  const spec = { name: 'foo0', managementDevice: 'vdpasim_net', mac: '02:00:00:00:00:01' };
  await addBoundDevice(client, bus, spec, 'vhost', { access: { uid: 107, mode: 0o660 } });
  assert.equal(bus.device('foo0')?.vhost, 'vhost-vdpa-0');
  assert.deepEqual(bus.files.access('/dev/vhost-vdpa-0'), { uid: 107, gid: 0, mode: 0o660 });
  await bindDriver(bus, 'foo0', 'virtio');
  assert.equal(bus.device('foo0')?.netdev, 'eth0');
  assert.equal(bus.files.exists('/dev/vhost-vdpa-0'), false);
  assert.deepEqual(findDevices(bus, { by: 'netdev', value: 'eth0' }), [bus.device('foo0')]);
  // Another machine has none of that, and a user may not write.
  assert.deepEqual(simulate().bus.names(), []);
  const { bus: readable } = simulate({ machine: { mgmtdev: { vdpasim_net: {} }, uid: 1000 } });
  const write = (): void => {
    readable.files.write('probe', '/sys/bus/vdpa/drivers_autoprobe', '0');
  };
  assert.throws(write, { code: 'EACCES' });
});

test('a monitor receives its events, until it is closed', async () => {
  const machine = simulate();
  const client = await VdpaClient.open({ transport: machine });
  const { bus } = machine;
  await client.addDevice({ name: 'before', managementDevice: 'vdpasim_net' });
  const transport = machine.openUevents();
  const monitor = await VdpaMonitor.open({ client, bus, transport, object: 'dev', timeoutMs: 60_000 });
  const said: string[] = [];
  const listening = (async () => {
    for await (const event of monitor) {
      if (event.object !== 'dev') continue;
      said.push(`${event.name} ${event.event}`);
      if (event.event === 'bound') await client.deleteDevice('foo0');
      if (event.event === 'removed') break;
    }
  })();
  await client.addDevice({ name: 'foo0', managementDevice: 'vdpasim_blk' });
  await listening;
  const kinds = ['foo0 added', 'foo0 changed', 'foo0 bound', 'foo0 changed', 'foo0 unbound', 'foo0 removed'];
  assert.deepEqual(said, kinds);

  const later = machine.openUevents();
  await assert.rejects(async () => later.receive(1), { code: 'ETIMEDOUT' });
  assert.throws(() => later.send(new Uint8Array()), { code: 'EOPNOTSUPP' });
  const pending = Promise.resolve(later.receive(60_000));
  await later.close();
  await assert.rejects(pending, { code: 'ETIMEDOUT' });
});

test('counters with described traffic follow its clock', async () => {
  let now = 1_000;
  const card = { dev_features: ['VERSION_1', 'ACCESS_PLATFORM'], vstats: { packets: { per_second: 10 } } };
  const machine = simulate({ machine: { mgmtdev: { 'pci/0000:03:00.2': card } }, now: () => now });
  const client = await VdpaClient.open({ transport: machine });
  await client.addDevice({ name: 'foo0', managementDevice: 'pci/0000:03:00.2' });
  now += 1_500;
  const { counters } = await client.vendorStats('foo0', 0);
  assert.deepEqual(counters, [{ name: 'packets', value: 15n }]);
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
