/** What programs rely on in the types of `vdpa/vhost`. tsc checks it; it never runs. */
import { expectTypeOf } from 'expect-type';
import type { IovaLimits, RingDriver, UsedChain, VhostDriver } from '../../src/vhost/index.js';
import { VhostVdpa, type IotlbMessage } from '../../src/vhost/index.js';

export function nodes(vhost: VhostVdpa): void {
  expectTypeOf(VhostVdpa).toBeConstructibleWith('/dev/vhost-vdpa-0');
  expectTypeOf(VhostVdpa).toBeConstructibleWith('/dev/vhost-vdpa-0', { backendFeatures: 2n });
  expectTypeOf(vhost.features()).toEqualTypeOf<bigint>();
  expectTypeOf(vhost.iovaRange()).toEqualTypeOf<IovaLimits>();
  expectTypeOf<{ kind: 'invalidate'; iova: bigint; size: bigint }>().toExtend<IotlbMessage>();
  expectTypeOf<{ kind: 'batch begin'; iova: bigint }>().toExtend<IotlbMessage>();
  expectTypeOf<{ kind: 'update'; iova: bigint }>().not.toExtend<IotlbMessage>();
}

export function drivers(driver: VhostDriver): void {
  expectTypeOf(driver.ring()).toEqualTypeOf<RingDriver>();
  expectTypeOf(driver.used()).toEqualTypeOf<UsedChain | undefined>();
}
