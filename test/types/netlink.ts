/** What programs rely on in the types of `vdpa/netlink`. tsc checks it; it never runs. */
import { expectTypeOf } from 'expect-type';
import type { AttributeList, GenlSocket } from '../../src/netlink/index.js';
import {
  Errno,
  openTransport,
  transportNames,
  type AttributePolicy,
  type ErrnoName,
  type GenlFamily,
  type GenlMessage,
  type NetlinkTransport,
  type TransportName,
} from '../../src/netlink/index.js';

export function sockets(): void {
  expectTypeOf<(typeof GenlSocket)['open']>().returns.resolves.toEqualTypeOf<GenlSocket>();
  expectTypeOf<GenlSocket['family']>().returns.resolves.toEqualTypeOf<GenlFamily>();
  expectTypeOf<GenlSocket['gather']>().returns.resolves.toEqualTypeOf<GenlMessage[]>();
  expectTypeOf<GenlSocket>().toExtend<AsyncDisposable>();
}

export function transports(): void {
  // Whatever answers like a kernel: in time, or at once.
  expectTypeOf<{
    port: number;
    send: (datagram: Uint8Array) => void;
    receive: () => Promise<Uint8Array>;
    close: () => void;
  }>().toExtend<NetlinkTransport>();
  expectTypeOf<TransportName>().toEqualTypeOf<'koffi' | 'node-netlink'>();
  expectTypeOf(transportNames).toEqualTypeOf<readonly TransportName[]>();
  expectTypeOf(openTransport).returns.resolves.toEqualTypeOf<NetlinkTransport>();
}

export function values(attributes: AttributeList, policy: AttributePolicy): void {
  expectTypeOf(attributes.u32(1)).toEqualTypeOf<number | undefined>();
  expectTypeOf(attributes.u64(1)).toEqualTypeOf<bigint | undefined>();
  expectTypeOf(Errno.ENODEV).toEqualTypeOf<19>();
  expectTypeOf<'ENODEV'>().toExtend<ErrnoName>();
  expectTypeOf<'EFOO'>().not.toExtend<ErrnoName>();
  if (policy.kind === 'u16') expectTypeOf(policy.mask).toEqualTypeOf<bigint | undefined>();
  if (policy.kind === 'string') expectTypeOf(policy.maxLength).toEqualTypeOf<number | undefined>();
}
