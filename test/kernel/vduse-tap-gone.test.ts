import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { ioctl } from '../../src/sys/ioctl.js';
import { checked, close } from '../../src/sys/libc.js';
import { NativeBuffer } from '../../src/sys/memory.js';
import { SOCK_CLOEXEC, socket } from '../../src/sys/socket.js';
import * as net from '../../src/virtio/net.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { ServerProcess } from '../support/kernel/servers/server-process.js';
import { VhostDriver, type DriverOptions } from '../../src/vhost/driver.js';
import { attach, detach, giveToVhost, sh, until } from '../support/kernel/servers/vduse.js';

const { test } = testsWith(VDUSE, '/dev/net/tun');

/** From linux/sockios.h and linux/ethtool.h. */
const SIOCETHTOOL = 0x8946;
const ETHTOOL_GTXCSUM = 0x16;
const ETHTOOL_GTSO = 0x1e;
const AF_INET = 2;
const SOCK_DGRAM = 2;

/** Whether an interface delivers packets with this offload. */
function offload(ifname: string, command: number): boolean {
  const fd = checked('open a socket', socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const value = new NativeBuffer(8);
  value.u32[0] = command;
  const request = new Uint8Array(40);
  request.set(Buffer.from(ifname));
  new DataView(request.buffer).setBigUint64(16, BigInt(value.address), true);
  ioctl('ask for an offload', fd, SIOCETHTOOL, request);
  const on = value.u32[1] === 1;
  value.free();
  close(fd);
  return on;
}

async function tapDevice(
  context: TestContext,
  queues: number,
  options: DriverOptions,
): Promise<[ServerProcess, VhostDriver]> {
  const server = await ServerProcess.start({ name: 'tapped', backend: { type: 'tap', ifname: 'tapped0' }, queues });
  await attach('tapped');
  const driver = new VhostDriver(await giveToVhost('tapped'), options);
  context.after(async () => {
    driver.close();
    await detach('tapped');
    await server.stop();
  });
  return [server, driver];
}

test('offloads that the tap rejects: those of the previous driver are not kept', async (context) => {
  const [, driver] = await tapDevice(context, 1, { queues: 2 });
  driver.start();
  const offloads = (): boolean[] => [ETHTOOL_GTXCSUM, ETHTOOL_GTSO].map((command) => offload('tapped0', command));
  await until('the first driver has its offloads', () => offloads().every((on) => on));
  // TSO without checksums, which no tap supports.
  driver.start({ features: (offered) => offered & ~(1n << 29n) & ~(1n << net.VIRTIO_NET_F_GUEST_CSUM) });
  await until('the second has none', () => offloads().every((on) => !on), 10_000);
});

test('deleting a tap does not end its threads', async (context) => {
  const [server, driver] = await tapDevice(context, 2, { queues: 4 });
  driver.start();
  const runs = (): Promise<boolean> =>
    server.device('tapped').then(({ queues }) => queues.every(({ state }) => state === 'running'));
  await until('all queues are served', runs);
  await sh('ip link del tapped0');
  for (let round = 0; round < 3; round++) {
    driver.start();
    await until('all queues are served', runs);
    driver.kick(2);
    driver.kick(0);
  }
  assert.equal(server.ended, undefined);
  assert.equal((await server.device('tapped')).state, 'running');
});
