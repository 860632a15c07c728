import '../lab/inside.js';
import assert from 'node:assert/strict';
import { fork, spawn, type ChildProcess, type CommonSpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import type { BlockDeviceOptions } from '../../../../src/vduse/block/device.js';
import type { NetDeviceOptions } from '../../../../src/vduse/net/device.js';
import type { ServerStatus } from '../../../../src/vduse/engine/status.js';
import { REPLY_TIMEOUT_MS } from '../lab/patience.js';

/** A device to serve; the fields determine its type. */
export type ServedDeviceSpec = BlockDeviceOptions | NetDeviceOptions;

/** A server's memory usage after garbage collection. */
export interface InUse {
  /** Bytes on the heaps of the C library and of the main thread. */
  readonly bytes: number;
  readonly mappings: number;
  readonly descriptors: number;
}

export type ToServer = { readonly type: 'status' } | { readonly type: 'stop'; readonly keep: boolean };

export type FromServer =
  | { readonly type: 'ready' }
  | { readonly type: 'broken'; readonly name: string; readonly queue: number; readonly reason: string }
  | { readonly type: 'status'; readonly rss: number; readonly inUse: InUse; readonly devices: readonly ServerStatus[] };

/** Starts device-server.ts, or the executable of it that VDPA_LAB_SERVER names (scripts/build-binary.mjs). */
function startServer(args: readonly string[]): ChildProcess {
  const options: CommonSpawnOptions = { stdio: ['ignore', 'inherit', 'pipe', 'ipc'], serialization: 'advanced' };
  const executable = process.env['VDPA_LAB_SERVER'];
  if (executable !== undefined) return spawn(executable, args, options);
  const script = fileURLToPath(new URL('device-server.js', import.meta.url));
  return fork(script, args, { ...options, execArgv: ['--expose-gc'] });
}

/** A process that serves devices, for tests that block or kill it; see device-server.ts. */
export class ServerProcess {
  readonly child: ChildProcess;
  /** What it reported about broken rings, in order: `target 0: a chain that loops`. */
  readonly broken: string[] = [];
  /** How it ended, or undefined while it runs. */
  ended: string | undefined;
  #stderr = '';
  readonly #exit: Promise<unknown>;

  /** Starts it, and waits until all devices are served. */
  static async start(...devices: readonly ServedDeviceSpec[]): Promise<ServerProcess> {
    const server = new ServerProcess(devices);
    await server.ready();
    return server;
  }

  /** Starts it; it serves once it is {@link ready}. */
  constructor(devices: readonly ServedDeviceSpec[]) {
    this.child = startServer([JSON.stringify(devices)]);
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-4000);
    });
    this.child.on('message', (message: FromServer) => {
      if (message.type === 'broken') this.broken.push(`${message.name} ${message.queue}: ${message.reason}`);
    });
    this.#exit = once(this.child, 'close').then(([status, signal]) => {
      this.ended = `status ${String(status)}, signal ${String(signal)}\n${this.#stderr}`;
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  #next<Type extends FromServer['type']>(type: Type): Promise<Extract<FromServer, { type: Type }>> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        this.child.off('message', listen);
        this.child.off('close', fail);
      };
      const listen = (message: FromServer): void => {
        if (message.type !== type) return;
        settle();
        resolve(message as Extract<FromServer, { type: Type }>);
      };
      const fail = (): void => {
        settle();
        reject(new Error(`The server does not say "${type}": ${this.ended ?? 'it is silent'}\n${this.#stderr}`));
      };
      const timer = setTimeout(fail, REPLY_TIMEOUT_MS);
      this.child.on('message', listen);
      this.child.once('close', fail);
    });
  }

  async ready(): Promise<void> {
    await this.#next('ready');
  }

  /** What it reports about its devices and its memory. */
  async status(): Promise<Extract<FromServer, { type: 'status' }>> {
    const answer = this.#next('status');
    this.#send({ type: 'status' });
    return answer;
  }

  /** What it reports about one device. */
  async device(name: string): Promise<ServerStatus> {
    const device = (await this.status()).devices.find((each) => each.name === name);
    assert.ok(device, `the server has no ${name}`);
    return device;
  }

  /** What its threads are doing: for a server that does not answer. */
  async threads(): Promise<string> {
    const status = await this.status().catch((error: unknown) => String(error));
    const folder = `/proc/${this.pid}/task`;
    const threads = readdirSync(folder).map((thread) => {
      const read = (file: string): string => {
        try {
          return readFileSync(`${folder}/${thread}/${file}`, 'utf8').trim();
        } catch {
          return '?';
        }
      };
      const [, , state] = read('stat').split(' ');
      return `${thread} ${read('comm')} ${state ?? ''} in ${read('wchan')}, ${read('syscall')}`;
    });
    return [inspect(status, { depth: 6 }), ...threads].join('\n');
  }

  #send(message: ToServer): void {
    this.child.send(message, () => undefined);
  }

  /** Stops it cleanly. */
  async stop({ keep = false } = {}): Promise<void> {
    this.#send({ type: 'stop', keep });
    await this.#exit;
    assert.match(this.ended ?? '', /^status 0,/, 'the server did not exit cleanly');
  }

  /** Kills it (SIGKILL). */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.#exit;
  }
}
