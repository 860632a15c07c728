/** NBD servers for tests: programs, and one whose bytes a test chooses. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TLSSocket, type TlsOptions, type TLSSocketOptions } from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';

/** Options of tests that run a program: they are skipped where it is missing. */
export function needsProgram(...names: readonly string[]): { readonly skip?: string } {
  const missing = names.find((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).error !== undefined);
  return missing === undefined ? {} : { skip: `${missing} is not installed` };
}

const folder = mkdtempSync(join(tmpdir(), 'vdpa-nbd-'));
process.once('exit', () => {
  rmSync(folder, { recursive: true, force: true });
});
let count = 0;

/** A path that is not in use, for a file or a socket. */
export const newPath = (name: string): string => join(folder, `${name}${count++}`);

/** A server in a process of its own, on a unix socket. It ends with this process. */
export class ServerProcess {
  readonly socket: string;
  readonly #argv: readonly string[];
  #child: ChildProcess | undefined;

  constructor(socket: string, argv: readonly string[]) {
    this.socket = socket;
    this.#argv = argv;
  }

  /** The URI of its default export. */
  get uri(): string {
    return `nbd+unix:///?socket=${this.socket}`;
  }

  /** Starts it, and waits until it listens. */
  async start(): Promise<void> {
    rmSync(this.socket, { force: true });
    const [command = '', ...argv] = this.#argv;
    const child = spawn(command, argv, { stdio: 'ignore' });
    this.#child = child;
    while (!(await isListening(this.socket))) {
      if (child.exitCode !== null) throw new Error(`${command} has ended with status ${child.exitCode}`);
      await sleep(10);
    }
  }

  /** Kills it. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child?.exitCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /** Stops or continues it. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal);
  }
}

async function isListening(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** An nbdkit with a plugin and its arguments, filters before it. */
export async function startNbdkit(...argv: readonly string[]): Promise<ServerProcess> {
  const socket = newPath('socket');
  const server = new ServerProcess(socket, ['nbdkit', '--exit-with-parent', '-f', '-U', socket, ...argv]);
  await server.start();
  return server;
}

/** A server made of a function, which is called for each connection. */
export class FakeServer {
  readonly socket: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** How many connections there were. */
  connections = 0;

  constructor(serve: (connection: FakeConnection, index: number) => Promise<void>, socket = newPath('socket')) {
    this.socket = socket;
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => socket.destroy());
      serve(new FakeConnection(socket), this.connections++).catch(() => socket.destroy());
    });
    this.#server.listen(this.socket);
  }

  get uri(): string {
    return `nbd+unix:///?socket=${this.socket}`;
  }

  endConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  /** As if it were killed. */
  close(): void {
    this.endConnections();
    this.#server.close();
  }
}

/** A request that a {@link FakeServer} has received; the data of a write is read with {@link FakeConnection.read}. */
export interface FakeRequest {
  readonly flags: number;
  readonly command: number;
  readonly cookie: bigint;
  readonly position: number;
  readonly length: number;
}

/** How the server's end of a connection encrypts. */
export type ServerTls = TLSSocketOptions & Pick<TlsOptions, 'pskCallback'>;

export class FakeConnection {
  #socket: Socket;
  #received = Buffer.alloc(0);
  #isEnded = false;
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', this.#take);
    socket.on('close', () => {
      this.#isEnded = true;
      this.#wake();
    });
  }

  readonly #take = (bytes: Buffer): void => {
    this.#received = Buffer.concat([this.#received, bytes]);
    this.#wake();
  };

  /** What follows is encrypted. Nothing that belongs to it has been received yet. */
  startTls(options: ServerTls): void {
    const plain = this.#socket.off('data', this.#take);
    this.#socket = new TLSSocket(plain, { ...options, isServer: true })
      .on('data', this.#take)
      .on('error', () => plain.destroy());
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** @throws {Error} once the connection has ended */
  send(bytes: Uint8Array): void {
    if (this.#isEnded) throw new Error('ended');
    this.#socket.write(bytes);
  }

  /** Exactly so many bytes. */
  async read(length: number): Promise<Buffer> {
    while (this.#received.length < length) {
      if (this.#isEnded) throw new Error('ended');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const bytes = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return bytes;
  }

  /** The next option that the client asks for. */
  async option(): Promise<number> {
    const header = await this.read(16);
    await this.read(header.readUInt32BE(12));
    return header.readUInt32BE(8);
  }

  /** The next request, of 28 bytes or, with extended headers, 32. */
  async request(isExtended = false): Promise<FakeRequest> {
    const header = await this.read(isExtended ? 32 : 28);
    return {
      flags: header.readUInt16BE(4),
      command: header.readUInt16BE(6),
      cookie: header.readBigUInt64BE(8),
      position: Number(header.readBigUInt64BE(16)),
      length: isExtended ? Number(header.readBigUInt64BE(24)) : header.readUInt32BE(24),
    };
  }

  end(): void {
    this.#socket.destroy();
  }
}
