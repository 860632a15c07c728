import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { VdpaBus } from '../../src/sysfs/bus.js';
import type { Resident } from './results.js';

const patienceMs = 20_000;
/** The unit of times in /proc/PID/stat (USER_HZ). */
const ticksPerSecond = 100;

/** The process of a VDUSE server, of any program, and its device on the vdpa bus. */
export class ServerProcess {
  readonly name: string;
  readonly #child: ChildProcess;

  private constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#child = child;
  }

  /** Starts a server for the device `name` and attaches the device. @throws Error if it does not start */
  static async start(name: string, command: readonly string[]): Promise<ServerProcess> {
    const [file = '', ...args] = command;
    const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    const server = new ServerProcess(name, child);
    await eventually(`${name} is on the vdpa bus`, () => {
      if (child.exitCode !== null) throw new Error(`${command.join(' ')}: ended with status ${child.exitCode}`);
      // Its queues may not be set up yet.
      if (existsSync(`/dev/vduse/${name}`))
        spawnSync('vdpa-iproute2', ['dev', 'add', 'name', name, 'mgmtdev', 'vduse']);
      return new VdpaBus().device(name);
    });
    return server;
  }

  /** Seconds of processor time that it has used. */
  get cpuSeconds(): number {
    const stat = readFileSync(`/proc/${this.#child.pid ?? 0}/stat`, 'latin1');
    const [, , , , , , , , , , , user, system] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(user) + Number(system)) / ticksPerSecond;
  }

  get resident(): Resident {
    const status = readFileSync(`/proc/${this.#child.pid ?? 0}/status`, 'latin1');
    const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]);
    return { total: field('VmRSS'), own: field('RssAnon') };
  }

  /** Deletes the device from the bus and stops the server. */
  async stop(): Promise<void> {
    spawnSync('vdpa-iproute2', ['dev', 'del', this.name]);
    this.#child.kill('SIGTERM');
    await eventually(
      `the server of ${this.name} has ended`,
      () => this.#child.exitCode ?? this.#child.signalCode ?? undefined,
    );
  }
}

/** Waits until `look` returns something, and returns it. @throws Error */
export async function eventually<Result>(what: string, look: () => Result | undefined): Promise<Result> {
  const end = performance.now() + patienceMs;
  for (;;) {
    const result = look();
    if (result !== undefined) return result;
    if (performance.now() > end) throw new Error(`timed out after ${patienceMs} ms: ${what}`);
    await sleep(20);
  }
}

/** Binds a device to vhost-vdpa. Returns its node: `/dev/vhost-vdpa-0`. */
export async function giveToVhost(name: string): Promise<string> {
  const folder = `/sys/bus/vdpa/devices/${name}`;
  writeFileSync(`${folder}/driver_override`, 'vhost_vdpa');
  if (existsSync(`${folder}/driver`)) writeFileSync(`${folder}/driver/unbind`, name);
  writeFileSync('/sys/bus/vdpa/drivers/vhost_vdpa/bind', name);
  return eventually(`${name} has a vhost node`, () => {
    const node = new VdpaBus().device(name)?.vhost;
    return node !== undefined && existsSync(`/dev/${node}`) ? `/dev/${node}` : undefined;
  });
}

/** The disk of a device: `/dev/vda`. */
export function diskOf(name: string): Promise<string> {
  return eventually(`${name} has a disk`, () => {
    const disk = new VdpaBus().device(name)?.block;
    return disk !== undefined && existsSync(`/dev/${disk}`) ? `/dev/${disk}` : undefined;
  });
}
