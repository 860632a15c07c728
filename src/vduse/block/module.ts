/** The module that a block device's data threads load. */
import { BlockPlane, type BlockChange, type BlockLimits } from './data-plane.js';
import type { NbdExport } from '../../nbd/handshake.js';
import type { BlockBackend } from './backend.js';
import type { CreateDataPlane, DataPlaneContext } from '../engine/data-plane.js';
import { VduseError } from '../error.js';
import type { Carrier } from './backends/carrier.js';
import { FlushFailure } from './backends/flush-failure.js';
import type { FileAccess } from './file-access.js';
import { FlushRecord } from './flush-record.js';
import type { SharedLink } from './nbd/link.js';
import type { AioMode } from '../spec/fields.js';

/** The backend that a data thread creates. */
export type BackendOptions =
  | { readonly backend: 'ram'; readonly fd: number; readonly size: number }
  | {
      readonly backend: 'file';
      readonly access: FileAccess;
      readonly size: number;
      /** For a block device: size of its logical blocks, in bytes. */
      readonly blockDevice: number | undefined;
    }
  | {
      readonly backend: 'nbd';
      /** One for each data thread. */
      readonly links: readonly SharedLink[];
      readonly export: NbdExport;
      readonly writesThrough: boolean;
    }
  | { readonly backend: 'null' }
  /** A module that exports `createBlockBackend`, a {@link CreateBlockBackend}. */
  | { readonly backend: 'module'; readonly module: string; readonly options: unknown };

export interface BlockModuleOptions {
  readonly limits: BlockLimits;
  readonly backend: BackendOptions;
  /** The descriptor of a FlushRecord. */
  readonly flushRecord?: number;
}

/** Creates a backend; a module exports it as `createBlockBackend`. */
export type CreateBlockBackend<Options = unknown> = (
  options: Options,
  context: DataPlaneContext,
) => BlockBackend | Promise<BlockBackend>;

export const createDataPlane: CreateDataPlane<BlockModuleOptions, BlockChange> = async (options, context) =>
  new BlockPlane(options.limits, await createBackend(options, context), context);

async function createBackend(
  { backend: options, flushRecord }: BlockModuleOptions,
  context: DataPlaneContext,
): Promise<BlockBackend> {
  switch (options.backend) {
    case 'ram': {
      const { RamBackend } = await import('./backends/ram.js');
      return new RamBackend(options.fd, options.size);
    }
    case 'file':
      return openFile(options, flushRecord, context);
    case 'nbd':
      return openNbd(options, flushRecord, context);
    case 'null': {
      const { NullBackend } = await import('./backends/null.js');
      return new NullBackend();
    }
    case 'module': {
      const module: unknown = await import(options.module);
      if (isBackendModule(module)) return module.createBlockBackend(options.options, context);
      throw new VduseError(`${options.module} does not export a function createBlockBackend`);
    }
  }
}

function isBackendModule(loaded: unknown): loaded is { readonly createBlockBackend: CreateBlockBackend } {
  return (
    typeof loaded === 'object' &&
    loaded !== null &&
    'createBlockBackend' in loaded &&
    typeof loaded.createBlockBackend === 'function'
  );
}

async function openFile(
  { access, size, blockDevice }: Extract<BackendOptions, { backend: 'file' }>,
  flushRecord: number | undefined,
  { queues, queueSize, shared }: DataPlaneContext,
): Promise<BlockBackend> {
  const failure = flushFailureOf(shared, flushRecord);
  // The first queues of the threads are the first of the device.
  const fd = access.fds[queues[0] ?? 0];
  if (fd === undefined) throw new Error(`the thread of queue ${queues[0] ?? 0} has no descriptor of the file`);
  const { aio } = access;
  if (aio === 'sync') {
    const { FileBackend } = await import('./backends/file.js');
    return new FileBackend({ fd, size, blockDevice }, shared, failure);
  }
  const { AsyncFileBackend } = await import('./backends/async-file.js');
  const carrier = await openCarrier(fd, aio, queues.length * queueSize);
  return new AsyncFileBackend({ fd, size, blockDevice, direct: access.direct }, carrier, failure);
}

async function openNbd(
  { links, export: described, writesThrough }: Extract<BackendOptions, { backend: 'nbd' }>,
  flushRecord: number | undefined,
  { queues, shared }: DataPlaneContext,
): Promise<BlockBackend> {
  const { NbdBackend } = await import('./backends/nbd.js');
  const { Link } = await import('./nbd/link.js');
  // The first queues of the threads are the first of the device.
  const link = links[queues[0] ?? 0];
  if (link === undefined) throw new Error(`the thread of queue ${queues[0] ?? 0} has no connection`);
  return new NbdBackend(new Link(link), described, writesThrough, flushFailureOf(shared, flushRecord));
}

function flushFailureOf(shared: Int32Array, flushRecord: number | undefined): FlushFailure {
  return new FlushFailure(shared, flushRecord === undefined ? undefined : FlushRecord.forThread(flushRecord));
}

/** @param depth operations in flight */
async function openCarrier(fd: number, aio: Exclude<AioMode, 'sync'>, depth: number): Promise<Carrier> {
  switch (aio) {
    case 'io_uring': {
      const { RingCarrier } = await import('./backends/ring-carrier.js');
      const carrier = RingCarrier.open(fd, depth);
      if (carrier === undefined)
        throw new VduseError('This kernel does not support io_uring for files: try "aio threads"');
      return carrier;
    }
    case 'native': {
      const { AioCarrier } = await import('./backends/aio-carrier.js');
      const carrier = AioCarrier.open(fd, depth);
      if (carrier === undefined) throw new VduseError('This machine has no more asynchronous I/O: raise fs.aio-max-nr');
      return carrier;
    }
    case 'threads': {
      const { ThreadPool } = await import('./backends/thread-pool.js');
      return new ThreadPool(fd);
    }
  }
}
