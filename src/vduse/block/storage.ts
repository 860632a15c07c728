import * as file from '../../sys/file.js';
import { checked, close } from '../../sys/libc.js';
import { FLAG_READ_ONLY, FLAG_SEND_FLUSH } from '../../nbd/protocol.js';
import { BackingFile } from './backing-file.js';
import { defaultBlockSizes, type BlockSizes } from './identity.js';
import type { BackendOptions } from './module.js';
import { blocksOfExport } from './nbd/blocks.js';
import { NbdConnections } from './nbd/connections.js';
import { DeviceOptionError } from '../spec/error.js';
import { checkSize } from '../spec/limits.js';
import { DEFAULT_BLOCK_SIZE, DEFAULT_RECONNECT, DEFAULT_SIZE } from '../spec/defaults.js';
import type { BlockBackendOptions } from '../spec/backend.js';

/** How storage is to be opened. */
export interface OpenOptions {
  /** The size must be a multiple of it; by default the block size of the storage. */
  readonly blockSize: 512 | 4096 | undefined;
  readonly readonly: boolean;
  /** Number of data threads; at most so many, unless they were asked for. */
  readonly threads: number;
  readonly threadsGiven?: boolean;
  /** Another server of the instance has ended. */
  readonly takeOver?: boolean;
}

/** The opened data of a block device. */
export class Storage {
  /** Size of the device in bytes, a multiple of the block size. */
  readonly size: number;
  readonly readonly: boolean;
  readonly blocks: BlockSizes;
  readonly backend: BackendOptions;
  /** The file that stores it. */
  readonly file: BackingFile | undefined;
  /** The connections to the NBD server that stores it. */
  readonly connections: NbdConnections | undefined;
  /** Number of data threads that may use it. */
  readonly threads: number;
  /** Whether a write may be done before it is durable. */
  readonly hasCache: boolean;
  readonly #fd: number | undefined;

  /**
   * Opens the storage.
   * @throws DeviceOptionError, SystemError, VduseError
   */
  static async open(options: BlockBackendOptions, wanted: OpenOptions): Promise<Storage> {
    const { blockSize, readonly, threads } = wanted;
    const logical = blockSize ?? DEFAULT_BLOCK_SIZE;
    if (options.size !== undefined) checkSize(options.size, logical);
    const blocks = defaultBlockSizes(logical);
    const size = options.size ?? DEFAULT_SIZE;
    switch (options.type) {
      case 'ram': {
        const fd = openMemory(size);
        return new Storage({ size, readonly, threads, blocks, fd, backend: { backend: 'ram', fd, size } });
      }
      case 'file':
        return openPath(options, wanted);
      case 'nbd':
        return openExport(options, wanted);
      case 'null':
        return new Storage({ size, readonly, threads, blocks, backend: { backend: 'null' } });
      case 'module': {
        const { module, options: own } = options;
        return new Storage({ size, readonly, threads, blocks, backend: { backend: 'module', module, options: own } });
      }
    }
  }

  constructor(parts: {
    readonly size: number;
    readonly readonly: boolean;
    readonly blocks: BlockSizes;
    readonly backend: BackendOptions;
    readonly threads: number;
    readonly hasCache?: boolean;
    readonly fd?: number;
    readonly file?: BackingFile;
    readonly connections?: NbdConnections;
  }) {
    this.size = parts.size;
    this.readonly = parts.readonly;
    this.blocks = parts.blocks;
    this.backend = parts.backend;
    this.file = parts.file;
    this.connections = parts.connections;
    this.threads = parts.threads;
    this.hasCache = parts.hasCache ?? true;
    this.#fd = parts.fd;
  }

  /** How long its file has not responded, in milliseconds. */
  get stalledMs(): number {
    return this.file?.stalledMs ?? 0;
  }

  /** @returns false if it takes too long and continues */
  async close(): Promise<boolean> {
    if (this.#fd !== undefined) close(this.#fd);
    return (await (this.file ?? this.connections)?.close()) ?? true;
  }
}

function openMemory(size: number): number {
  const fd = checked('create a memory file', file.memfdCreate('vduse', file.MFD_CLOEXEC | file.MFD_ALLOW_SEALING));
  try {
    checked('set the size of the memory file', file.ftruncate(fd, size));
    checked('seal the memory file', file.fcntl(fd, file.F_ADD_SEALS, file.F_SEAL_SHRINK));
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

async function openPath(
  { path, size: wanted, cache, aio }: Extract<BlockBackendOptions, { type: 'file' }>,
  { blockSize, readonly, threads }: OpenOptions,
): Promise<Storage> {
  const backing = await BackingFile.open({ path, size: wanted, blockSize, readonly, cache, aio, threads });
  const { access, length, deviceBlock, blocks } = backing.facts;
  const size = wanted ?? length;
  return new Storage({
    size,
    readonly,
    threads,
    hasCache: access.cache !== 'writethrough',
    blocks,
    backend: { backend: 'file', access, size, blockDevice: deviceBlock },
    file: backing,
  });
}

async function openExport(
  { uri, reconnect = DEFAULT_RECONNECT, cache }: Extract<BlockBackendOptions, { type: 'nbd' }>,
  { blockSize, readonly, threads, threadsGiven = false, takeOver = false }: OpenOptions,
): Promise<Storage> {
  const connections = await NbdConnections.open({ uri, threads, reconnect, takeOver });
  try {
    const { export: described, links } = connections;
    if (threadsGiven && links.length < threads) {
      throw new DeviceOptionError('The NBD server permits one connection only: "threads" must be 1');
    }
    const blocks = blocksOfExport(described, blockSize);
    const size = described.size - (described.size % blocks.logical);
    if (size === 0) throw new DeviceOptionError(`The export has ${described.size} bytes: less than a block`);
    const writesThrough = cache === 'writethrough';
    return new Storage({
      size,
      readonly: readonly || (described.flags & FLAG_READ_ONLY) !== 0,
      blocks,
      backend: { backend: 'nbd', links: links.map(({ shared }) => shared), export: described, writesThrough },
      threads: links.length,
      // A server without flush has no cache to flush.
      hasCache: !writesThrough && (described.flags & FLAG_SEND_FLUSH) !== 0,
      connections,
    });
  } catch (error) {
    await connections.close();
    throw error;
  }
}
