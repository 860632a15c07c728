/** The module that a block device's data threads load. */
import { BlockPlane, type BlockChange, type BlockLimits } from './data-plane.js';
import type { BlockBackend } from './backend.js';
import type { CreateDataPlane, DataPlaneContext } from '../engine/data-plane.js';
import { FlushRecord } from './flush-record.js';

/** The backend that a data thread creates. */
export type BackendOptions =
  | { readonly backend: 'ram'; readonly fd: number; readonly size: number }
  | {
      readonly backend: 'file';
      readonly fd: number;
      readonly size: number;
      /** For a block device: size of its logical blocks, in bytes. */
      readonly blockDevice: number | undefined;
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
    case 'file': {
      const { FileBackend } = await import('./backends/file.js');
      const note = flushRecord === undefined ? undefined : FlushRecord.forThread(flushRecord);
      return new FileBackend(options, context.shared, note);
    }
    case 'null': {
      const { NullBackend } = await import('./backends/null.js');
      return new NullBackend();
    }
    case 'module': {
      const module = (await import(options.module)) as { createBlockBackend: CreateBlockBackend };
      return module.createBlockBackend(options.options, context);
    }
  }
}
