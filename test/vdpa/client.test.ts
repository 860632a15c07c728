/** VdpaClient as programs use it, on the simulated machine. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { NetlinkError } from '../../src/netlink/error.js';
import type { NetlinkTransport } from '../../src/netlink/transport.js';
import { Errno } from '../../src/sys/errno.js';
import {
  deviceTypeId,
  deviceTypeName,
  deviceTypeNames,
  formatHandle,
  formatMac,
  parseHandle,
  parseMac,
} from '../../src/index.js';
import { ArgumentError } from '../../src/sys/error.js';
import { VdpaClient } from '../../src/vdpa/client.js';
import type { VdpaDevice } from '../../src/vdpa/model.js';
import { watchStats } from '../../src/vdpa/stats.js';
import { TestMachine } from '../support/test-machine.js';

async function withDevices(machine: TestMachine, count: number): Promise<VdpaClient> {
  const client = await machine.client();
  for (let index = 0; index < count; index++) {
    await client.addDevice({ name: `d${index}`, managementDevice: 'vdpasim_net' });
  }
  return client;
}

/** A transport that counts how often it is closed. */
function counting(transport: NetlinkTransport): NetlinkTransport & { closed: number } {
  return {
    port: transport.port,
    closed: 0,
    send: (datagram) => transport.send(datagram),
    receive: (timeoutMs) => transport.receive(timeoutMs),
    close() {
      this.closed++;
      return transport.close();
    },
  };
}

const names = (devices: readonly { readonly name: string }[]): string[] => devices.map(({ name }) => name);

test('Symbol.asyncDispose closes the socket, as await using does', async () => {
  const transport = counting(new TestMachine().openTransport());
  const client = await VdpaClient.open({ transport });
  await client[Symbol.asyncDispose]();
  assert.equal(transport.closed, 1);
  const other = counting(new TestMachine().openTransport());
  {
    await using again = await VdpaClient.open({ transport: other });
    assert.equal((await again.managementDevices()).length, 3);
    assert.equal(other.closed, 0);
  }
  assert.equal(other.closed, 1);
});

test('lists can be awaited as arrays or iterated, and the client can be used in between', async () => {
  const client = await withDevices(new TestMachine(), 60);
  const all = names(await client.devices());
  assert.equal(all.length, 60);
  const seen: string[] = [];
  for await (const device of client.devices()) {
    assert.equal((await client.device(device.name)).name, device.name);
    seen.push(device.name);
  }
  assert.deepEqual(seen, all);
  const configs: string[] = [];
  for await (const { name } of client.deviceConfigs()) configs.push(name);
  assert.deepEqual(configs, all);
  const managing: string[] = [];
  for await (const { handle } of client.managementDevices()) managing.push(handle);
  assert.deepEqual(managing, ['vdpasim_net', 'vdpasim_blk', 'vduse']);
});

test('a list is read once per iteration, and once for all that await it', async () => {
  const client = await withDevices(new TestMachine(), 1);
  const list = client.devices();
  assert.equal((await list).length, 1);
  await client.deleteDevice('d0');
  assert.equal((await list).length, 1);
  for await (const device of list) assert.fail(device.name);
});

test('leaving the loop discards the rest, and the next request is answered', async () => {
  const client = await withDevices(new TestMachine(), 200);
  for await (const { name } of client.devices()) {
    assert.equal(name, 'd0');
    break;
  }
  assert.equal((await client.devices()).length, 200);
});

test('an error in the middle of a list ends the iteration after the entries that arrived before', async () => {
  const fault = { command: 'dev show', errno: 'EIO', message: 'lost', after: 2 } as const;
  const client = await withDevices(new TestMachine({}, [fault]), 4);
  const seen: string[] = [];
  await assert.rejects(
    async () => {
      for await (const { name } of client.devices()) seen.push(name);
    },
    { code: 'EIO', kernelMessage: 'lost' },
  );
  assert.deepEqual(seen, ['d0', 'd1']);
  await assert.rejects(client.devices().finally(), { code: 'EIO' });
  assert.deepEqual(await client.devices().catch(() => []), []);
});

test('a list that changes while being read is read again, and no device is yielded twice', async () => {
  const client = await withDevices(new TestMachine(), 2);
  const [first, second] = await client.devices();
  assert.ok(first && second);
  const { Listing } = await import('../../src/vdpa/listing.js');
  const list = new Listing(
    async (onItem: (item: VdpaDevice) => void, onRestart) => {
      onItem(first);
      await sleep(1);
      onRestart();
      onItem(first);
      onItem(second);
    },
    ({ name }) => name,
    undefined,
  );
  const seen: string[] = [];
  for await (const { name } of list) seen.push(name);
  assert.deepEqual(seen, ['d0', 'd1']);
  assert.deepEqual(names(await list), ['d0', 'd1']);
});

test('an aborted signal ends the iteration with its reason', async () => {
  const client = await withDevices(new TestMachine(), 3);
  const controller = new AbortController();
  const reason = new Error('enough');
  const seen: string[] = [];
  await assert.rejects(
    async () => {
      for await (const { name } of client.devices({ signal: controller.signal })) {
        seen.push(name);
        controller.abort(reason);
      }
    },
    (error) => error === reason,
  );
  assert.deepEqual(seen, ['d0']);
});

test('with an aborted signal every request rejects with the reason, and changes nothing', async () => {
  const client = await withDevices(new TestMachine(), 1);
  const reason = new Error('too late');
  const options = { signal: AbortSignal.abort(reason) };
  const [device] = await client.devices();
  assert.ok(device);
  const requests: (() => Promise<unknown>)[] = [
    () => VdpaClient.open({ transport: new TestMachine().openTransport(), ...options }),
    () => client.devices(options),
    () => client.device('d0', options),
    () => client.managementDevices(options),
    () => client.managementDevice('vdpasim_net', options),
    () => client.deviceConfigs(options),
    () => client.deviceConfig('d0', options),
    () => client.readDeviceConfigs([device], options),
    () => client.vendorStats('d0', 0, options),
    () => client.deviceStats(device, options),
    () => client.addDevice({ name: 'd1', managementDevice: 'vdpasim_net' }, options),
    () => client.setDevice('d0', { mac: '02:00:00:00:00:09' }, options),
    () => client.deleteDevice('d0', options),
    () => watchStats(client, options).next(),
  ];
  for (const request of requests) {
    await assert.rejects(
      async () => await request(),
      (error) => error === reason,
      request.toString(),
    );
  }
  assert.deepEqual(names(await client.devices()), ['d0']);
});

test('a slow request is abandoned immediately, and the next one gets its own answer', async () => {
  const slow = { command: 'dev show', delay: 300 } as const;
  const client = await withDevices(new TestMachine({}, [slow]), 2);
  await assert.rejects(client.device('d0', { signal: AbortSignal.timeout(10) }), { name: 'TimeoutError' });
  assert.equal((await client.device('d1')).name, 'd1');
});

test('each request can have its own time limit', async () => {
  const machine = new TestMachine().openTransport();
  const limits: number[] = [];
  let isMute = false;
  const transport: NetlinkTransport = {
    port: machine.port,
    send: (datagram) => machine.send(datagram),
    receive: (timeoutMs) => {
      limits.push(timeoutMs);
      if (!isMute) return machine.receive(timeoutMs);
      throw new NetlinkError({ operation: 'receive', errno: Errno.ETIMEDOUT });
    },
    close: () => undefined,
  };
  const client = await VdpaClient.open({ transport, timeoutMs: 5000 });
  isMute = true;
  const message = /The kernel did not answer within 0\.02 s/;
  await assert.rejects(client.device('d0', { timeoutMs: 20 }), { code: 'ETIMEDOUT', message });
  await assert.rejects(client.devices({ timeoutMs: 20 }), { code: 'ETIMEDOUT', message });
  await assert.rejects(client.deleteDevice('d0', { timeoutMs: 20 }), { code: 'ETIMEDOUT', message });
  assert.deepEqual(limits.slice(-3), [20, 20, 20]);
  assert.equal(limits[0], 5000);
});

test('an argument that does not fit a message is an ArgumentError, which is a RangeError', async () => {
  const client = await new TestMachine().client();
  for (const spec of [
    { mtu: 70_000 },
    { mtu: 1.5 },
    { features: -1n },
    { name: 'a\0b' },
    { name: 'n'.repeat(70_000) },
    { mac: '02:00' },
    { managementDevice: 'a/b/c' },
  ]) {
    const add = client.addDevice({ name: 'foo0', managementDevice: 'vdpasim_net', ...spec });
    await assert.rejects(add, (error) => error instanceof ArgumentError && error instanceof RangeError);
  }
  await assert.rejects(watchStats(client, { intervalMs: 0 }).next(), ArgumentError);
});

test('statistics are sampled until the signal is aborted', async () => {
  const client = await withDevices(new TestMachine(), 1);
  const controller = new AbortController();
  const samples: number[] = [];
  await assert.rejects(
    async () => {
      for await (const { seconds } of watchStats(client, { intervalMs: 5, signal: controller.signal })) {
        samples.push(seconds);
        if (samples.length === 3) controller.abort();
      }
    },
    { name: 'AbortError' },
  );
  assert.equal(samples.length, 3);
  assert.ok(samples.slice(1).every((seconds) => seconds > 0));
});

test('handles, addresses and types are strings', async () => {
  const client = await new TestMachine().client();
  await client.addDevice({ name: 'foo0', managementDevice: 'vdpasim_net', mac: '02:00:00:00:AA:1' });
  const device = await client.device('foo0');
  assert.equal(device.managementDevice, 'vdpasim_net');
  assert.equal(deviceTypeName(device.deviceId), 'net');
  assert.equal((await client.managementDevice('vdpasim_net')).handle, 'vdpasim_net');
  const config = await client.deviceConfig('foo0');
  assert.equal(config.kind === 'net' && config.mac, '02:00:00:00:aa:01');
  await assert.rejects(client.managementDevice('pci/0000:03:00.2'), { code: 'ENODEV' });
});

test('parsers and formatters are inverse to each other, and reject unknown input', () => {
  for (const handle of ['vduse', 'pci/0000:03:00.2', '', '/', 'a/', '/a']) {
    assert.equal(formatHandle(parseHandle(handle)), handle);
  }
  assert.deepEqual(parseHandle('pci/0000:03:00.2'), { bus: 'pci', name: '0000:03:00.2' });
  assert.throws(() => parseHandle('a/b/c'), { name: 'ArgumentError', message: /"a\/b\/c"/ });
  assert.deepEqual(parseMac('02:0:ff:AB:00:01'), Uint8Array.of(2, 0, 255, 0xab, 0, 1));
  assert.equal(formatMac(parseMac('02:0:ff:AB:00:01')), '02:00:ff:ab:00:01');
  for (const text of [
    '',
    '02:00:00:00:00',
    '02:00:00:00:00:01:02',
    '02-00-00-00-00-01',
    '2:0:0:0:0:100',
    ' 2:0:0:0:0:1',
  ]) {
    assert.throws(() => parseMac(text), { name: 'ArgumentError' }, text);
  }
  for (const type of deviceTypeNames) assert.equal(deviceTypeName(deviceTypeId(type)), type);
  assert.equal(deviceTypeName(26), undefined);
});
