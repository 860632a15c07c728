import '../lab/inside.js';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestContext } from 'node:test';
import { serveBlockDevice, type BlockDeviceOptions } from '../../../../src/vduse/block/device.js';
import type { VduseServer } from '../../../../src/vduse/server.js';
import { VdpaBus } from '../../../../src/sysfs/bus.js';
import { REPLY_TIMEOUT_MS } from '../lab/patience.js';

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program without blocking this process, which may serve the device that the program uses. */
export function start(command: string, ...argv: readonly string[]): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('latin1').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('latin1').on('data', (text: string) => (stderr += text));
    child.once('error', reject);
    child.once('close', (status) => {
      resolve({ status, stdout, stderr });
    });
  });
}

/** The same for a line, split at blanks, that must succeed. Returns its output. */
export async function sh(line: string): Promise<string> {
  const [command = '', ...argv] = line.split(' ');
  const { status, stdout, stderr } = await start(command, ...argv);
  assert.equal(status, 0, `${line}: status ${status}\n${stdout}${stderr}`);
  return stdout;
}

/** The same for a bash script. */
export async function bash(script: string): Promise<string> {
  const { status, stdout, stderr } = await start('bash', '-euo', 'pipefail', '-c', script);
  assert.equal(status, 0, `${script}: status ${status}\n${stdout}${stderr}`);
  return stdout;
}

type Pending<Result> = Result | undefined | false;

/** Waits until a condition holds. */
export async function until<Result>(
  what: string,
  check: () => Pending<Result> | Promise<Pending<Result>>,
  limitMs = REPLY_TIMEOUT_MS,
): Promise<Result> {
  const end = performance.now() + limitMs;
  for (;;) {
    const result = await check();
    if (result !== undefined && result !== false) return result;
    assert.ok(performance.now() < end, `after ${limitMs} ms not yet: ${what}`);
    await sleep(10);
  }
}

/** Attaches a device to the vdpa bus, without this program's own commands. */
export async function attach(name: string): Promise<void> {
  await sh(`/run/bin/vdpa-iproute2 dev add name ${name} mgmtdev vduse`);
}

export async function detach(name: string): Promise<void> {
  await sh(`/run/bin/vdpa-iproute2 dev del ${name}`);
}

/** The disk of a device: `/dev/vda`. */
export function diskOf(name: string): Promise<string> {
  return until(`${name} has a disk`, () => {
    const disk = new VdpaBus().device(name)?.block;
    return disk !== undefined && existsSync(`/dev/${disk}`) && `/dev/${disk}`;
  });
}

/** Binds a device to a driver of the vdpa bus. If both are modules, the one loaded first binds to every device. */
export async function giveTo(name: string, driver: 'vhost_vdpa' | 'virtio_vdpa'): Promise<void> {
  const folder = `/sys/bus/vdpa/devices/${name}`;
  await bash(`echo ${driver} > ${folder}/driver_override
    if [ -e ${folder}/driver ]; then echo ${name} > ${folder}/driver/unbind; fi
    echo ${name} > /sys/bus/vdpa/drivers/${driver}/bind`);
}

/** Binds a device to vhost-vdpa. Returns its node: `/dev/vhost-vdpa-0`. */
export async function giveToVhost(name: string): Promise<string> {
  await giveTo(name, 'vhost_vdpa');
  return until(`${name} has a vhost node`, () => {
    const node = new VdpaBus().device(name)?.vhost;
    return node !== undefined && existsSync(`/dev/${node}`) && `/dev/${node}`;
  });
}

/** Serves a block device and attaches it; both are undone when the test ends. */
export async function blockDevice(
  context: TestContext,
  options: BlockDeviceOptions,
): Promise<{ readonly server: VduseServer; readonly disk: string }> {
  const { server } = await serveBlockDevice(options);
  context.after(async () => {
    if (new VdpaBus().device(options.name)) await detach(options.name);
    await server.stop();
  });
  server.on('error', (error) => {
    throw error;
  });
  await attach(options.name);
  return { server, disk: await diskOf(options.name) };
}

/** An empty folder to mount something on. */
export function mountPoint(name: string): string {
  const path = `/tmp/${name}`;
  mkdirSync(path, { recursive: true });
  return path;
}
