/** What programs rely on in the types of `vdpa/testing` and `vdpa/iommufd`. tsc checks it; it never runs. */
import { expectTypeOf } from 'expect-type';
import type { VdpaClientOptions } from '../../src/index.js';
import type { Iommufd } from '../../src/iommufd/index.js';
import { type Ioas, type IoasId } from '../../src/iommufd/index.js';
import { simulate, type Fault, type SimulatedMachine } from '../../src/testing/index.js';

export function machines(): void {
  expectTypeOf(simulate).toBeCallableWith();
  expectTypeOf(simulate).toBeCallableWith({ faults: [{ command: 'dev add', errno: 'ENOSPC', times: 1 }] });
  expectTypeOf(simulate).toBeCallableWith({ machine: { mgmtdev: { 'pci/0000:03:00.2': { max_devices: 2 } } } });
  expectTypeOf(simulate).returns.toEqualTypeOf<SimulatedMachine>();
  expectTypeOf<SimulatedMachine>().toExtend<NonNullable<VdpaClientOptions['transport']>>();
  expectTypeOf<{ command: 'dev eat' }>().not.toExtend<Fault>();
  expectTypeOf<{ command: 'dev add'; errno: 'EFOO' }>().not.toExtend<Fault>();
}

export function addressSpaces(): void {
  expectTypeOf<Iommufd>().toExtend<Disposable>();
  expectTypeOf<Iommufd['allocateIoas']>().returns.toEqualTypeOf<Ioas>();
  // A number of another kind is none of an address space.
  expectTypeOf<number>().not.toExtend<IoasId>();
  expectTypeOf<Ioas['mapFile']>().returns.toEqualTypeOf<bigint>();
  expectTypeOf<Ioas['unmap']>().parameters.toEqualTypeOf<[iova: bigint, length: bigint]>();
}
