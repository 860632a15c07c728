import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GenlSocket } from '../../src/netlink/genl.js';
import { SimulatedKernel } from '../../src/sim/kernel.js';
import { bootState, bareMachine } from '../../src/sim/state/model.js';
import { SimulatedTransport } from '../../src/sim/transport.js';
import { VDPA_CMD_DEV_GET } from '../../src/vdpa/uapi.js';
import { VdpaRequests } from '../support/vdpa-requests.js';
import { TestMachine } from '../support/test-machine.js';
import { MemoryStore } from '../../src/sim/state/store.js';

const newTransport = (): SimulatedTransport =>
  new SimulatedTransport(new SimulatedKernel(new MemoryStore(bootState(bareMachine))));

describe('a socket to the simulated kernel', () => {
  test('has a port, like any other', () => {
    assert.equal(newTransport().port, process.pid);
  });

  test('waits for its time limit if nothing arrives', async () => {
    const begun = performance.now();
    await assert.rejects(async () => newTransport().receive(30), { code: 'ETIMEDOUT' });
    assert.ok(performance.now() - begun >= 28);
  });

  test('rejects an empty datagram, and one that is too long', () => {
    const transport = newTransport();
    assert.throws(() => transport.send(new Uint8Array(0)), { code: 'ENODATA' });
    assert.throws(() => transport.send(new Uint8Array(212_961)), { code: 'EMSGSIZE' });
    transport.close();
    transport.close();
  });

  test('describes its families, their operations and policies', async () => {
    const socket = await GenlSocket.open(newTransport());
    const { id, version, operations } = await socket.family('vdpa');
    assert.deepEqual([id, version, operations.length], [0x13, 1, 7]);
    const controller = await socket.family('nlctrl');
    assert.deepEqual(
      controller.multicastGroups.map(({ name }) => name),
      ['notify'],
    );
    await socket.close();
  });

  test('lists 200 devices in datagrams as the kernel packs them', async () => {
    const machine = new TestMachine();
    machine.store.update((state) => {
      for (let at = 0; at < 200; at++) state.devices.push({ name: `d${at}`, mgmtdev: 'vdpasim_net' });
    });
    const client = await machine.client();
    const devices = await client.devices();
    assert.deepEqual(
      devices.map(({ name }) => name),
      Array.from({ length: 200 }, (_none, at) => `d${at}`),
    );
    assert.equal((await client.deviceConfigs()).length, 200);
  });

  test('a datagram larger than the usual buffer arrives complete', async () => {
    const kernel = new SimulatedKernel(new MemoryStore(bootState(bareMachine)));
    const transport = new SimulatedTransport(kernel, { cappedAck: false });
    // The error for a request quotes it, unless NETLINK_CAP_ACK is set.
    const long = new VdpaRequests(0x13).about(VDPA_CMD_DEV_GET, 'x'.repeat(60_000));
    await transport.send(long);
    const answer = await transport.receive(0);
    assert.ok(answer.length > long.length);
  });
});
