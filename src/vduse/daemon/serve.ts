import { existsSync } from 'node:fs';
import type { Server } from 'node:net';
import { exitNow } from '../../sys/process.js';
import { dropPrivileges, setParentDeathSignal } from '../../sys/privileges.js';
import { SECTOR_SIZE } from '../../virtio/block.js';
import { blockConfigOffset } from '../../virtio/config-space.js';
import { VduseError } from '../error.js';
import { devicePath } from '../kernel/name.js';
import type { FileAccessModes } from '../block/file-access.js';
import type { NbdConnectionStatus, NbdConnections } from '../block/nbd/connections.js';
import type { FlushRecord } from '../block/flush-record.js';
import type { VduseServer } from '../server.js';
import { startServer, type RunningDevice } from './start.js';
import { RuntimeFolder } from './runtime-folder.js';
import { toEntry, type ServedEntry } from '../spec/arguments.js';
import type { ServedDeviceSpec } from '../spec/device-spec.js';
import { listen, type ServerAnswer, type ServerRequest, type ServiceStatus } from './socket.js';

/** Notifications of a server to the program that started it. */
export interface ServiceEvents {
  /** The device can be attached to the vdpa bus. */
  ready(): void;
  /** It was asked to stop. */
  ending(): void;
  /** A human-readable warning, which does not end the service. */
  warning(text: string): void;
  /** A human-readable line of a server. */
  log(line: string): void;
}

/** Options for serving a device. */
export interface ServiceOptions {
  /** An existing instance may be served with other properties than it was created with. */
  readonly force: boolean;
}

/** What the status says after a failed flush. */
const FLUSH_FAILED = 'a flush failed: written data may be lost, and every flush fails until the device is deleted';

/**
 * Serves a device until the process receives SIGTERM or SIGINT, or a request to stop on its socket. Takes over an
 * instance that has lost its server.
 *
 * A device that is on the vdpa bus at the end stays there, for another server to take over; otherwise the instance is
 * destroyed.
 * @throws VduseError, SystemError if it does not start, or fails later
 */
export async function runServer(
  device: ServedDeviceSpec,
  events: ServiceEvents,
  { force }: ServiceOptions,
): Promise<void> {
  const { folder, release } = RuntimeFolder.claim(device.name);
  try {
    await serve(device, folder, events, { force });
  } finally {
    release();
  }
}

/**
 * The same under a supervisor, which has claimed the runtime directory and finally destroys the instance. Once the
 * device is open, this process drops its privileges if requested.
 * @param supervisor its process id
 * @throws PrivilegeError as well
 */
export async function runSupervisedServer(
  device: ServedDeviceSpec,
  supervisor: number,
  events: ServiceEvents,
  { force }: ServiceOptions,
): Promise<void> {
  const folder = RuntimeFolder.find(device.name);
  if (!folder) throw new VduseError(`${device.name} has no runtime folder: its supervisor creates it`);
  try {
    await serve(device, folder, events, { force, supervisor }, () => {
      if (device.user !== undefined) dropPrivileges(device.user);
      // After dropping privileges, since a change of user resets it.
      setParentDeathSignal();
      if (process.ppid !== supervisor) throw new VduseError('The supervisor has exited');
    });
  } finally {
    folder.close();
  }
}

/**
 * Serves a device until it is asked to stop, with the records of its runtime directory.
 * @param supervisor the process id of a supervisor that finally destroys the instance
 * @param prepared called when everything is open and nothing is served yet
 */
async function serve(
  device: ServedDeviceSpec,
  folder: RuntimeFolder,
  events: ServiceEvents,
  { force, supervisor }: ServiceOptions & { readonly supervisor?: number },
  prepared?: () => void,
): Promise<void> {
  const takeOver = existsSync(devicePath(device.name));
  const flushRecord = folder.openFlushRecord(!takeOver);
  const inflight = folder.inflight();
  try {
    const record = folder.record(force);
    const running = await startServer(device, { takeOver, flushRecord, inflight, record }).catch((error: unknown) => {
      // The instance was not created, or belongs to another program: the new record applies to none.
      const isKnown = takeOver && (flushRecord.failed || record.read() !== undefined);
      if (!isKnown) folder.deleteInstanceFiles();
      throw error;
    });
    await new Service(running, flushRecord, events, supervisor).run(folder, prepared);
  } finally {
    inflight.close();
    flushRecord.close();
  }
}

class Service {
  readonly #server: VduseServer;
  readonly #device: ServedEntry;
  readonly #access: FileAccessModes | undefined;
  readonly #connections: NbdConnections | undefined;
  readonly #events: ServiceEvents;
  readonly #supervisor: number | undefined;
  readonly #flushRecord: FlushRecord;
  #wasAttached = false;
  #trouble: string | undefined;
  #end: () => void = () => undefined;
  #fail: (error: Error) => void = () => undefined;
  /** Callers that wait for the end. */
  readonly #endWaiters: ((answer: ServerAnswer) => void)[] = [];

  constructor(
    { server, device, access, connections, warning }: RunningDevice,
    flushRecord: FlushRecord,
    events: ServiceEvents,
    supervisor: number | undefined,
  ) {
    this.#flushRecord = flushRecord;
    this.#supervisor = supervisor;
    this.#server = server;
    this.#device = toEntry(device);
    this.#access = access;
    this.#connections = connections;
    this.#events = events;
    if (warning !== undefined) this.#warn(warning);
  }

  /** @param prepared called when everything is open and nothing is served yet */
  async run(folder: RuntimeFolder, prepared: () => void = () => undefined): Promise<void> {
    const over = new Promise<void>((resolve, reject) => {
      this.#end = resolve;
      this.#fail = reject;
    });
    this.#server.on('error', this.#fail);
    this.#server.on('broken', (queue, reason) => {
      this.#warn(`the driver broke queue ${queue}: ${reason}; the device needs a reset`);
    });
    this.#server.on('state', (state) => {
      if (state === 'broken') this.#warn('the kernel has given up on the device: delete it and add it again');
      this.#updateAttached();
    });
    this.#connections?.follow((status) => {
      this.#events.log(describeConnection(status));
    });
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, this.#end);
    let socket: Server | undefined;
    try {
      socket = await listen(folder.socketPath, (request) => this.#answer(request));
      prepared();
      this.#events.ready();
      await over;
    } finally {
      await this.#stop(socket);
      for (const signal of ['SIGTERM', 'SIGINT'] as const) process.off(signal, this.#end);
    }
  }

  #warn(text: string): void {
    this.#trouble = text;
    this.#events.warning(text);
  }

  /** Whether the device is on the bus now. */
  #updateAttached(): boolean {
    const { attached } = this.#server.status();
    this.#wasAttached ||= attached;
    return attached;
  }

  #answer(request: ServerRequest): Promise<ServerAnswer> {
    if (request.do === 'status') return Promise.resolve({ status: this.#status() });
    this.#end();
    return new Promise((resolve) => this.#endWaiters.push(resolve));
  }

  #status(): ServiceStatus {
    const attached = this.#updateAttached();
    const { features, ...status } = this.#server.status();
    const trouble = this.#flushRecord.failed ? FLUSH_FAILED : this.#trouble;
    return {
      ...status,
      ...this.#deviceStatus(),
      pid: process.pid,
      ...(this.#supervisor !== undefined && { supervisor: this.#supervisor }),
      features: `0x${features.toString(16)}`,
      deleted: this.#wasAttached && !attached,
      ...(trouble !== undefined && { trouble }),
    };
  }

  #deviceStatus(): Pick<ServiceStatus, 'device' | 'size' | 'access' | 'connection'> {
    if (this.#device.type !== 'block') return { device: this.#device };
    const { size, blockSize } = sizesOf(this.#server.config);
    return {
      device: { ...this.#device, block_size: blockSize },
      size,
      ...(this.#access && { access: this.#access }),
      ...(this.#connections && { connection: this.#connections.status }),
    };
  }

  async #stop(socket: Server | undefined): Promise<void> {
    this.#events.ending();
    let answer: ServerAnswer = { ended: true };
    try {
      await this.#server.stop({ keep: this.#updateAttached() || this.#supervisor !== undefined });
    } catch (error) {
      answer = { error: String(error) };
      throw error;
    } finally {
      for (const resolve of this.#endWaiters) resolve(answer);
      socket?.close();
      // A thread that is blocked in a system call would keep the process from exiting.
      if (this.#server.stuck) setImmediate(exitNow, 1);
    }
  }
}

function describeConnection({ state, reason }: NbdConnectionStatus): string {
  switch (state) {
    case 'connected':
      return 'connected to the NBD server';
    case 'reconnecting':
      return `lost the NBD server, connecting again: ${reason ?? ''}`;
    case 'failed':
      return `no NBD server: requests fail until it is back: ${reason ?? ''}`;
  }
}

/** The size of a block device and its blocks in bytes, as its driver reads them. */
function sizesOf(config: Uint8Array): { readonly size: number; readonly blockSize: 512 | 4096 } {
  const view = new DataView(config.buffer, config.byteOffset);
  return {
    size: Number(view.getBigUint64(blockConfigOffset.capacity, true)) * SECTOR_SIZE,
    blockSize: view.getUint32(blockConfigOffset.blkSize, true) === 4096 ? 4096 : 512,
  };
}
