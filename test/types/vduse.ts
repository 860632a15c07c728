/** What programs rely on in the types of `vdpa/vduse`. tsc checks it; it never runs. */
import { expectTypeOf } from 'expect-type';
import type { ServeResult, VduseError, VduseServer } from '../../src/vduse/index.js';
import {
  BackendError,
  OperationType,
  SimpleBlockBackend,
  serve,
  type BlockBackend,
  type CreateBlockBackend,
  type CreateDataPlane,
  type DataPlane,
  type DeviceQueue,
  type ServeOptions,
  type ServedDevice,
} from '../../src/vduse/index.js';

export function devices(): void {
  expectTypeOf(serve).parameters.toEqualTypeOf<[ServeOptions]>();
  expectTypeOf(serve).returns.resolves.toEqualTypeOf<ServedDevice>();
  expectTypeOf<ServedDevice>().toExtend<AsyncDisposable>();
  // The type decides which options there are.
  expectTypeOf<{ type: 'block'; name: string; backend: { type: 'ram'; size: number } }>().toExtend<ServeOptions>();
  expectTypeOf<{ type: 'net'; name: string; backend: { type: 'tap' }; mac: string }>().toExtend<ServeOptions>();
  expectTypeOf<{ type: 'net'; name: string; backend: { type: 'ram' } }>().not.toExtend<ServeOptions>();
  expectTypeOf<{ type: 'block'; name: string; backend: { type: 'file' } }>().not.toExtend<ServeOptions>();
  expectTypeOf<{ name: string; backend: { type: 'ram' } }>().not.toExtend<ServeOptions>();
  expectTypeOf<ServeOptions>().toHaveProperty('signal').toEqualTypeOf<AbortSignal | undefined>();
}

export function backends(): void {
  class Own extends SimpleBlockBackend {
    override read(position: number, target: Uint8Array): void {
      target.fill(position & 0xff);
    }
    override write(): void {
      throw new BackendError('EROFS');
    }
  }
  expectTypeOf<Own>().toExtend<BlockBackend>();
  expectTypeOf<() => Own>().toExtend<CreateBlockBackend>();
  expectTypeOf<BackendError>().toExtend<VduseError>();
  expectTypeOf(BackendError).toBeConstructibleWith('EROFS');
  expectTypeOf<'EFOO'>().not.toExtend<ConstructorParameters<typeof BackendError>[0]>();
  expectTypeOf<OperationType>().toEqualTypeOf<0 | 1 | 2 | 3 | 4>();
  expectTypeOf(OperationType.WRITE_ZEROES).toEqualTypeOf<4>();
}

export function dataPlanes(): void {
  // Without changes, none can be sent.
  expectTypeOf<VduseServer['change']>().parameters.toEqualTypeOf<[change: never]>();
  expectTypeOf<VduseServer<string>['change']>().parameters.toEqualTypeOf<[change: string]>();
  expectTypeOf<DataPlane<string>['serve']>().toEqualTypeOf<(queue: DeviceQueue) => ServeResult>();
  expectTypeOf<ServeResult>().toEqualTypeOf<0 | 1 | 2 | 3>();
  expectTypeOf<ReturnType<CreateDataPlane<string, number>>>().toEqualTypeOf<
    DataPlane<number> | Promise<DataPlane<number>>
  >();
}
