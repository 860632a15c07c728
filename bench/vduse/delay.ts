/** The delay of packets to a guest that sends as fast as it can, through a tap. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { frameLengths, netdevOf, packets, received, run } from './net.js';
import type { Plan } from './plan.js';
import type { DelayResults, Delays } from './results.js';
import { eventually, ServerProcess } from './server.js';

const probe = join(import.meta.dirname, 'delay-probe.js');
const mac = '02:00:00:00:00:02';
const tap = 'delaytap';

/** In seconds. */
const longerThanAnyProbe = 3600;

function probeDelays(netdev: string, seconds: number): Delays {
  const { status, stdout, stderr } = spawnSync('node', [probe, tap, netdev, mac, String(seconds)], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`delay-probe: ${stderr}`);
  return JSON.parse(stdout) as Delays;
}

async function probeUnderFlood(netdev: string, length: number, seconds: number): Promise<Delays> {
  const destination = readFileSync(`/sys/class/net/${tap}/address`, 'utf8').trim();
  const before = received(tap);
  const flood = spawn('node', [packets, netdev, destination, String(length), String(longerThanAnyProbe)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = once(flood, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  await eventually('the guest sends', () => (received(tap) > before ? true : undefined));
  const result = probeDelays(netdev, seconds);
  flood.kill();
  const [status] = await ended;
  if (status !== null) throw new Error(`the flood ended early, with status ${status}`);
  return result;
}

/** Without a flood, and with each frame length, in turn. */
export async function measureDelay({ rounds, seconds }: Plan): Promise<DelayResults> {
  const command = ['vdpa', 'vduse', 'serve', 'name', 'delay0', 'type', 'net', 'backend', 'tap', 'ifname', tap];
  const server = await ServerProcess.start('delay0', [...command, 'mac', mac]);
  const netdev = await netdevOf('delay0');
  for (const each of [netdev, tap]) run('ip', 'link', 'set', each, 'up');
  const idle: Delays[] = [];
  const flood = frameLengths.map((): Delays[] => []);
  for (let round = 0; round < rounds; round++) {
    idle.push(probeDelays(netdev, seconds));
    for (const [index, length] of frameLengths.entries()) {
      flood[index]?.push(await probeUnderFlood(netdev, length, seconds));
    }
    console.error(`delay: round ${round + 1} of ${rounds}`);
  }
  await server.stop();
  return { idle, flood };
}
