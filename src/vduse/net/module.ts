/** The module that a network device's data threads load. */
import type { CreateDataPlane, DataPlaneContext } from '../engine/data-plane.js';
import { NetPlane, type NetBackend } from './data-plane.js';

export type NetModuleOptions =
  | { readonly backend: 'loopback'; readonly mac: Uint8Array }
  /** One descriptor for each pair of queues. */
  | { readonly backend: 'tap'; readonly fds: readonly number[] };

export const createDataPlane: CreateDataPlane<NetModuleOptions> = async (options, context) =>
  new NetPlane(await createBackend(options, context));

async function createBackend(options: NetModuleOptions, context: DataPlaneContext): Promise<NetBackend> {
  switch (options.backend) {
    case 'loopback': {
      const { LoopbackBackend } = await import('./backends/loopback.js');
      return new LoopbackBackend(options.mac, context);
    }
    case 'tap': {
      const { TapBackend } = await import('./backends/tap.js');
      return new TapBackend(options.fds, context);
    }
  }
}
