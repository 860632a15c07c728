/** Network devices: packets that a device returns, packets and TCP through a tap. */
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { VdpaBus } from '../../src/sysfs/bus.js';
import type { Plan } from './plan.js';
import type { NetResults } from './results.js';
import { eventually, ServerProcess } from './server.js';

/** Frame lengths in bytes: the shortest, and the longest on an ordinary network. */
export const frameLengths = [60, 1514] as const;

const mac = '02:00:00:00:00:01';
export const packets = join(import.meta.dirname, 'packets.js');
const stream = join(import.meta.dirname, 'stream.js');

export function run(...[file = '', ...args]: readonly string[]): void {
  const { status, stderr } = spawnSync(file, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${file} ${args.join(' ')}: ${stderr}`);
}

export function netdevOf(name: string): Promise<string> {
  return eventually(`${name} has an interface`, () => new VdpaBus().device(name)?.netdev);
}

export const received = (netdev: string): number =>
  Number(readFileSync(`/sys/class/net/${netdev}/statistics/rx_packets`, 'utf8'));

/** Packets per second that arrive at `to`, sent from `from`. */
function packetRate(from: string, to: string, destination: string, length: number, seconds: number): number {
  const before = received(to);
  const begin = performance.now();
  run('node', packets, from, destination, String(length), String(seconds));
  const rate = ((received(to) - before) / (performance.now() - begin)) * 1000;
  if (rate < 1) throw new Error(`no packet came from ${from} to ${to}`);
  return rate;
}

/** Bytes per second over TCP from one network namespace to another. */
async function tcpRate(from: string, to: string, address: string, seconds: number): Promise<number> {
  const listener = spawn('ip', ['netns', 'exec', to, 'node', stream, 'listen', '5000'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await eventually('someone listens', () => {
    const { stdout } = spawnSync('ip', ['netns', 'exec', to, 'ss', '-Hltn'], { encoding: 'utf8' });
    return stdout.includes(':5000') || undefined;
  });
  const output = text(listener.stdout);
  run('ip', 'netns', 'exec', from, 'node', stream, 'send', address, '5000', String(seconds));
  const { bytes, seconds: taken } = JSON.parse(await output) as { bytes: number; seconds: number };
  return bytes / taken;
}

/** Measures everything, in turn. */
export async function measureNet({ rounds, seconds }: Plan): Promise<NetResults> {
  const serve = (name: string, ...words: string[]): Promise<ServerProcess> =>
    ServerProcess.start(name, ['vdpa', 'vduse', 'serve', 'name', name, 'type', 'net', ...words]);
  const loop = await serve('loop0', 'backend', 'loopback', 'mac', mac);
  const tap = await serve('tapped0', 'backend', 'tap', 'ifname', 'benchtap');
  run('vdpa-iproute2', 'dev', 'add', 'name', 'sim0', 'mgmtdev', 'vdpasim_net', 'mac', mac);
  const netdevs = { vdpa: await netdevOf('loop0'), vdpasim: await netdevOf('sim0') };
  const tapped = await netdevOf('tapped0');
  for (const netdev of [...Object.values(netdevs), tapped, 'benchtap']) run('ip', 'link', 'set', netdev, 'up');
  const destination = readFileSync('/sys/class/net/benchtap/address', 'utf8').trim();
  const results = {
    loopback: { vdpa: frameLengths.map((): number[] => []), vdpasim: frameLengths.map((): number[] => []) },
    tap: frameLengths.map((): number[] => []),
    tcp: { toTap: [] as number[], fromTap: [] as number[], veth: [] as number[] },
  };
  for (let round = -1; round < rounds; round++) {
    for (const [index, length] of frameLengths.entries()) {
      for (const server of ['vdpa', 'vdpasim'] as const) {
        const rate = packetRate(netdevs[server], netdevs[server], mac, length, seconds);
        if (round >= 0) results.loopback[server][index]?.push(rate);
      }
      const rate = packetRate(tapped, 'benchtap', destination, length, seconds);
      if (round >= 0) results.tap[index]?.push(rate);
    }
  }
  run('ip', 'netns', 'add', 'guest');
  run('ip', 'netns', 'add', 'host');
  // A veth pair, without a device in between: what the rest of the path can carry.
  run('ip', 'link', 'add', 'vethguest', 'type', 'veth', 'peer', 'name', 'vethhost');
  for (const [namespace, netdev, address] of [
    ['guest', tapped, '10.1.1.1/24'],
    ['host', 'benchtap', '10.1.1.2/24'],
    ['guest', 'vethguest', '10.1.2.1/24'],
    ['host', 'vethhost', '10.1.2.2/24'],
  ] as const) {
    run('ip', 'link', 'set', netdev, 'netns', namespace);
    run('ip', '-n', namespace, 'address', 'add', address, 'dev', netdev);
    run('ip', '-n', namespace, 'link', 'set', netdev, 'up');
  }
  for (let round = -1; round < rounds; round++) {
    const toTap = await tcpRate('guest', 'host', '10.1.1.2', seconds);
    const fromTap = await tcpRate('host', 'guest', '10.1.1.1', seconds);
    const veth = await tcpRate('guest', 'host', '10.1.2.2', seconds);
    if (round < 0) continue;
    results.tcp.toTap.push(toTap);
    results.tcp.fromTap.push(fromTap);
    results.tcp.veth.push(veth);
    console.error(`net: round ${round + 1} of ${rounds}`);
  }
  run('ip', 'netns', 'del', 'guest');
  run('ip', 'netns', 'del', 'host');
  await loop.stop();
  await tap.stop();
  return results;
}
