import * as file from '../../sys/file.js';
import { checked, close } from '../../sys/libc.js';
import { BackingFile } from './backing-file.js';
import { defaultBlockSizes, type BlockSizes } from './identity.js';
import type { BackendOptions } from './module.js';
import { checkSize } from '../spec/limits.js';
import { DEFAULT_BLOCK_SIZE, DEFAULT_SIZE } from '../spec/defaults.js';
import type { BlockBackendOptions } from '../spec/backend.js';

/** The opened data of a block device. */
export class Storage {
  /** Size of the device in bytes, a multiple of the block size. */
  readonly size: number;
  readonly readonly: boolean;
  readonly blocks: BlockSizes;
  readonly backend: BackendOptions;
  /** The file that stores it. */
  readonly file: BackingFile | undefined;
  readonly #fd: number | undefined;

  /**
   * Opens the storage.
   * @param blockSize the size must be a multiple of it; by default the block size of the storage
   * @param threads number of data threads
   * @throws DeviceOptionError, SystemError
   */
  static async open(
    options: BlockBackendOptions,
    blockSize: 512 | 4096 | undefined,
    readonly: boolean,
    threads: number,
  ): Promise<Storage> {
    const logical = blockSize ?? DEFAULT_BLOCK_SIZE;
    if (options.size !== undefined) checkSize(options.size, logical);
    const blocks = defaultBlockSizes(logical);
    const size = options.size ?? DEFAULT_SIZE;
    switch (options.type) {
      case 'ram': {
        const fd = openMemory(size);
        return new Storage({ size, readonly, blocks, fd, backend: { backend: 'ram', fd, size } });
      }
      case 'file':
        return openPath(options, blockSize, readonly, threads);
      case 'null':
        return new Storage({ size, readonly, blocks, backend: { backend: 'null' } });
      case 'module': {
        const { module, options: own } = options;
        return new Storage({ size, readonly, blocks, backend: { backend: 'module', module, options: own } });
      }
    }
  }

  constructor(parts: {
    readonly size: number;
    readonly readonly: boolean;
    readonly blocks: BlockSizes;
    readonly backend: BackendOptions;
    readonly fd?: number;
    readonly file?: BackingFile;
  }) {
    this.size = parts.size;
    this.readonly = parts.readonly;
    this.blocks = parts.blocks;
    this.backend = parts.backend;
    this.file = parts.file;
    this.#fd = parts.fd;
  }

  /** How long its file has not responded, in milliseconds. */
  get stalledMs(): number {
    return this.file?.stalledMs ?? 0;
  }

  /** @returns false if it takes too long and continues */
  async close(): Promise<boolean> {
    if (this.#fd !== undefined) close(this.#fd);
    return (await this.file?.close()) ?? true;
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
  blockSize: 512 | 4096 | undefined,
  readonly: boolean,
  threads: number,
): Promise<Storage> {
  const backing = await BackingFile.open({ path, size: wanted, blockSize, readonly, cache, aio, threads });
  const { access, length, deviceBlock, blocks } = backing.facts;
  const size = wanted ?? length;
  return new Storage({
    size,
    readonly,
    blocks,
    backend: { backend: 'file', access, size, blockDevice: deviceBlock },
    file: backing,
  });
}
