import '../lab/inside.js';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { serveNetDevice, type NetDevice, type NetDeviceOptions } from '../../../../src/vduse/net/device.js';
import { VdpaBus } from '../../../../src/sysfs/bus.js';
import { attach, bash, detach, sh, until } from './vduse.js';

/** A network device on the vdpa bus. */
export interface Attached extends NetDevice {
  /** The network interface of the device. */
  readonly netdev: string;
}

/** Serves a network device from this process and attaches it; both are undone when the test ends. */
export async function netDevice(context: TestContext, options: NetDeviceOptions): Promise<Attached> {
  const device = await serveNetDevice(options);
  device.server.on('error', (error) => {
    throw error;
  });
  context.after(async () => {
    if (new VdpaBus().device(options.name)) await detach(options.name);
    await device.server.stop();
  });
  await attach(options.name);
  const netdev = await until('the interface exists', () => new VdpaBus().device(options.name)?.netdev);
  return { ...device, netdev };
}

/** A frame with the experimental EtherType that PacketSocket receives. */
export const frameOf = (to: Uint8Array, from: Uint8Array, body: Uint8Array): Uint8Array =>
  Buffer.concat([to, from, Uint8Array.of(0x88, 0xb5), body]);

/** An attribute of an interface in sysfs. */
export const attribute = (netdev: string, name: string): string =>
  readFileSync(`/sys/class/net/${netdev}/${name}`, 'utf8').trim();

/** Moves the device's interface to one network namespace and its tap to another, each with an address. */
export async function twoNamespaces(
  context: TestContext,
  { netdev, ifname = '' }: Attached,
  mtu = 1500,
): Promise<void> {
  await sh('ip netns add guest');
  await sh('ip netns add host');
  context.after(() => bash('ip netns del guest; ip netns del host'));
  await sh(`ip link set ${netdev} netns guest mtu ${mtu}`);
  await sh(`ip link set ${ifname} netns host mtu ${mtu}`);
  await sh(`ip -n guest address add 10.1.1.1/24 dev ${netdev}`);
  await sh(`ip -n host address add 10.1.1.2/24 dev ${ifname}`);
  await sh(`ip -n guest address add fd00::1/64 dev ${netdev} nodad`);
  await sh(`ip -n host address add fd00::2/64 dev ${ifname} nodad`);
  await sh(`ip -n guest link set ${netdev} up`);
  await sh(`ip -n host link set ${ifname} up`);
}

/**
 * Pings until this many answers have arrived, and checks that none is missing. The last one may take a while: without a deadline
 * ping stops waiting for it after one interval, which a busy machine may exceed.
 */
export async function ping(from: string, address: string, count: number, size = 56): Promise<void> {
  const output = await sh(`ip netns exec ${from} ping -c ${count} -i 0.05 -w 60 -s ${size} ${address}`);
  const answered = [...output.matchAll(/icmp_seq=([0-9]+) /g)].map(([, number]) => Number(number));
  assert.ok(answered.length >= count, output);
  assert.deepEqual(
    answered,
    answered.map((_, index) => index + 1),
    output,
  );
}

const tcp = fileURLToPath(new URL('../drivers/tcp.js', import.meta.url));

/** Sends a file over TCP from one namespace to the other. @returns the checksums of what was sent and received */
export async function transfer(from: string, to: string, address: string, file: string): Promise<[string, string]> {
  const came = sh(`ip netns exec ${to} node ${tcp} listen 5000`);
  await until('someone listens', async () => (await sh(`ip netns exec ${to} ss -Hltn`)).includes(':5000'));
  const sent = await sh(`ip netns exec ${from} node ${tcp} send ${address} 5000 ${file}`);
  return [sent.trim(), (await came).trim()];
}

/** Pings between the interface of a device and its tap, and sends a file over TCP each way, over IPv4 and IPv6. */
export async function pingAndTransfer(context: TestContext, device: Attached, file: string): Promise<void> {
  await twoNamespaces(context, device);
  await ping('guest', '10.1.1.2', 20, 1000);
  await ping('host', '10.1.1.1', 5, 4000);
  for (const [from, to, address] of [
    ['guest', 'host', '10.1.1.2'],
    ['host', 'guest', '10.1.1.1'],
    ['host', 'guest', 'fd00::1'],
  ] as const) {
    const [sent, came] = await transfer(from, to, address, file);
    assert.equal(came, sent, `${from} to ${address}`);
  }
}
