import { blockConfigOffset } from '../../virtio/config-space.js';
import type { BlockChange } from './data-plane.js';
import { blockIdentity, blockLimits, capacityField } from './identity.js';
import type { FileAccessModes } from './file-access.js';
import type { BlockModuleOptions } from './module.js';
import { Storage } from './storage.js';
import { checkBlockOptions } from '../spec/limits.js';
import type { DeviceIdentity } from '../kernel/control.js';
import type { FlushRecord } from './flush-record.js';
import { startAndRecord, type RecordedSpec, type InstanceRecord } from '../spec/instance-record.js';
import type { InflightFile } from '../engine/inflight-file.js';
import { threadCount } from '../engine/host.js';
import type { NbdConnections } from './nbd/connections.js';
import { moduleUrl } from '../engine/module-url.js';
import { VduseServer } from '../server.js';
import type { BlockBackendOptions } from '../spec/backend.js';
import { DEFAULT_QUEUE_SIZE, defaultSerial } from '../spec/defaults.js';

/** A VDUSE block device. */
export interface BlockDeviceOptions {
  readonly name: string;
  readonly backend: BlockBackendOptions;
  /** Size of a logical block, in bytes; 512 by default, or that of the disk for a block device. */
  readonly blockSize?: 512 | 4096;
  readonly readonly?: boolean;
  /** At most 20 bytes; the name by default. */
  readonly serial?: string;
  /** Number of queues; 1 by default. */
  readonly queues?: number;
  /** Maximum number of descriptors of each queue: a power of two from 4 to 1024, 256 by default. */
  readonly queueSize?: number;
  /** Offers packed virtqueues to drivers. */
  readonly packed?: boolean;
  /**
   * Number of threads that serve the queues; one for each queue by default, up to the number of `cpus`, or processors.
   */
  readonly threads?: number;
  /**
   * Processors that the threads run on: the first thread on the first, and so on, from the first again if there are
   * more threads. All that the process may use by default.
   */
  readonly cpus?: readonly number[];
  /** Takes over an existing instance whose server has ended. */
  readonly takeOver?: boolean;
  /** Records a failed flush of the file for the server that takes over. It remains the caller's. */
  readonly flushRecord?: FlushRecord;
  /** The log of the requests in flight, for the server that takes over. It remains the caller's. */
  readonly inflight?: InflightFile;
  /** Records what the device was created with, for the server that takes over. */
  readonly record?: InstanceRecord;
}

/** A block device that is served. */
export interface ServedBlockDevice {
  readonly server: VduseServer<BlockChange>;
  /** How its file is accessed; undefined if it is not stored in one. */
  readonly access: FileAccessModes | undefined;
  /** Its connections; undefined if it is not stored on an NBD server. */
  readonly connections: NbdConnections | undefined;
  /** As was asked for, or as its storage is. */
  readonly readonly: boolean;
}

/**
 * Serves a block device until its server is stopped. The device can be attached to the vdpa bus once this returns.
 * @throws DeviceNameError, DeviceOptionError, SystemError
 */
export async function serveBlockDevice(options: BlockDeviceOptions): Promise<ServedBlockDevice> {
  const { queues = 1, queueSize = DEFAULT_QUEUE_SIZE, packed = false } = options;
  const threads = threadCount(options, queues);
  const serial = options.serial ?? defaultSerial(options.name);
  checkBlockOptions({ queues, queueSize, serial });
  const storage = await Storage.open(options.backend, {
    blockSize: options.blockSize,
    readonly: options.readonly === true,
    threads,
    threadsGiven: options.threads !== undefined,
    takeOver: options.takeOver === true,
  });
  try {
    const limits = blockLimits(storage, serial);
    const moduleOptions: BlockModuleOptions = {
      limits,
      backend: storage.backend,
      ...(options.flushRecord !== undefined && { flushRecord: options.flushRecord.fd }),
    };
    const access = storage.file?.facts.access;
    const { hasCache, blocks, connections } = storage;
    const identity = blockIdentity({ limits, blocks, queues, queueSize, packed, hasCache });
    const server = await startAndRecord(recordedSpecOf(options, storage, identity), options, () =>
      VduseServer.start<BlockChange>({
        name: options.name,
        identity,
        dataPlane: { module: moduleUrl('block-module'), options: moduleOptions },
        backing: storage,
        threads: storage.threads,
        ...(options.cpus && { cpus: options.cpus }),
        ...(options.inflight && { inflight: options.inflight }),
        ...(options.takeOver !== undefined && { takeOver: options.takeOver }),
      }),
    );
    followFile(server, storage, options.backend.size === undefined, options.record);
    const modes = access && { cache: access.cache, aio: access.aio };
    return { server, access: modes, connections, readonly: storage.readonly };
  } catch (error) {
    await storage.close();
    throw error;
  }
}

/** The properties that the device is created with, for the next server of its instance. */
function recordedSpecOf(options: BlockDeviceOptions, storage: Storage, identity: DeviceIdentity): RecordedSpec {
  const { backend, serial = defaultSerial(options.name), packed = false } = options;
  return {
    type: 'block',
    backend: backend.type,
    queues: identity.queueCount,
    queueSize: identity.queueSize,
    packed,
    features: identity.features,
    ...(backend.type === 'file' && { path: backend.path }),
    ...(backend.type === 'nbd' && { uri: backend.uri }),
    ...(storage.file !== undefined && { file: storage.file.facts.name }),
    size: storage.size,
    ...(backend.size !== undefined && { fixedSize: backend.size }),
    blockSize: storage.blocks.logical,
    readonly: storage.readonly,
    serial,
  };
}

/**
 * Notifies the driver when the file grows, and the data threads when it shrinks.
 * @param grows whether the device has the size of its file
 */
function followFile(
  server: VduseServer<BlockChange>,
  { size, blocks, file }: Storage,
  grows: boolean,
  record: InstanceRecord | undefined,
): void {
  let known = { size, left: size };
  file?.follow((length) => {
    const whole = length - (length % blocks.logical);
    const now = { size: grows ? Math.max(known.size, whole) : known.size, left: length };
    if (now.size === known.size && now.left === known.left) return;
    server.change(now);
    if (now.size > known.size) {
      record?.grow(now.size);
      server.changeConfig(blockConfigOffset.capacity, capacityField(now.size));
    }
    known = now;
  });
}
