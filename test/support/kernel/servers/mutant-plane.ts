/** The module that the data threads of a device with a deliberate fault load. */
import { createDataPlane as createBlock, type BlockModuleOptions } from '../../../../src/vduse/block/module.js';
import { createDataPlane as createNet, type NetModuleOptions } from '../../../../src/vduse/net/module.js';
import type { DataPlane, DataPlaneContext } from '../../../../src/vduse/engine/data-plane.js';
import { mutants } from './mutants.js';

export interface MutantOptions {
  readonly mutant: string;
  readonly plane:
    | { readonly type: 'block'; readonly options: BlockModuleOptions }
    | { readonly type: 'net'; readonly options: NetModuleOptions };
}

export async function createDataPlane({ mutant, plane }: MutantOptions, context: DataPlaneContext): Promise<DataPlane> {
  mutants[mutant]?.patch?.();
  return plane.type === 'block' ? createBlock(plane.options, context) : createNet(plane.options, context);
}
