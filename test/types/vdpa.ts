/** What programs rely on in the types of `vdpa`. tsc checks it; it never runs. */
import { expectTypeOf } from 'expect-type';
import {
  VdpaClient,
  bindDriver,
  deleteDevice,
  deviceTypeName,
  parseHandle,
  planChanges,
  readTree,
  watchStats,
  type ArgumentError,
  type Change,
  type DesiredDevice,
  type DeviceAdded,
  type DeviceConfig,
  type DeviceSpec,
  type DeviceType,
  type Listing,
  type ManagementDevice,
  type NetConfig,
  type NetlinkError,
  type Plan,
  type ServedDeviceSpec,
  type StatsSample,
  type SystemError,
  type VdpaDevice,
  type VdpaEvent,
  type VdpaMonitor,
  type VduseInstance,
  type VduseServers,
  type WaitOptions,
} from '../../src/index.js';

export function clients(client: VdpaClient): void {
  expectTypeOf<(typeof VdpaClient)['open']>().returns.resolves.toEqualTypeOf<VdpaClient>();
  expectTypeOf(VdpaClient).toExtend<{ open: (options: { timeoutMs: number; signal: AbortSignal }) => unknown }>();
  expectTypeOf<VdpaClient>().toExtend<AsyncDisposable>();
  // Made by open() alone.
  expectTypeOf<typeof VdpaClient>().not.toExtend<new (...args: never[]) => VdpaClient>();

  // A list is awaited as an array, or iterated.
  expectTypeOf(client.devices()).toEqualTypeOf<Listing<VdpaDevice>>();
  expectTypeOf(client.devices()).resolves.toEqualTypeOf<VdpaDevice[]>();
  expectTypeOf(client.devices()).toExtend<AsyncIterable<VdpaDevice>>();
  expectTypeOf(client.managementDevices()).resolves.toEqualTypeOf<ManagementDevice[]>();
  expectTypeOf(client.deviceConfigs()).toExtend<AsyncIterable<DeviceConfig>>();

  // Everything that waits takes a signal and a time limit.
  expectTypeOf<WaitOptions>().toEqualTypeOf<{ readonly signal?: AbortSignal; readonly timeoutMs?: number }>();
  expectTypeOf<VdpaClient['devices']>().toBeCallableWith({ signal: new AbortController().signal, timeoutMs: 1 });
  expectTypeOf<VdpaClient['device']>().parameter(1).toEqualTypeOf<WaitOptions | undefined>();
  expectTypeOf<VdpaClient['addDevice']>().parameter(1).toEqualTypeOf<WaitOptions | undefined>();
  expectTypeOf<VdpaClient['setDevice']>().parameter(2).toEqualTypeOf<WaitOptions | undefined>();
  expectTypeOf(watchStats).returns.toExtend<AsyncIterable<StatsSample>>();
}

export function names(): void {
  // Strings where people have strings, bigints for 64 bits.
  expectTypeOf<DeviceSpec['managementDevice']>().toEqualTypeOf<string>();
  expectTypeOf<DeviceSpec['mac']>().toEqualTypeOf<string | undefined>();
  expectTypeOf<DeviceSpec['features']>().toEqualTypeOf<bigint | undefined>();
  expectTypeOf<{ name: string }>().not.toExtend<DeviceSpec>();
  expectTypeOf<ManagementDevice['supportedFeatures']>().toEqualTypeOf<bigint | undefined>();
  expectTypeOf<DeviceType>().toEqualTypeOf<'net' | 'block'>();
  expectTypeOf(deviceTypeName).returns.toEqualTypeOf<DeviceType | undefined>();
  expectTypeOf(parseHandle).parameters.toEqualTypeOf<[string]>();
}

export function unions(config: DeviceConfig, event: VdpaEvent, change: Change, instance: VduseInstance): void {
  if (config.kind === 'net') expectTypeOf(config).toEqualTypeOf<NetConfig>();
  expectTypeOf<DeviceConfig['kind']>().toEqualTypeOf<'net' | 'block' | 'other'>();
  if (event.object === 'dev' && event.event === 'added') expectTypeOf(event).toEqualTypeOf<DeviceAdded>();
  expectTypeOf<Change['action']>().toEqualTypeOf<'add' | 'delete' | 'replace' | 'set' | 'bind' | 'serve'>();
  if (change.action === 'serve') expectTypeOf(change.server).toEqualTypeOf<ServedDeviceSpec>();
  if (instance.server === 'none') expectTypeOf(instance).not.toHaveProperty('status');
}

export function errors(error: NetlinkError): void {
  expectTypeOf<NetlinkError>().toExtend<SystemError>();
  expectTypeOf<ArgumentError>().toExtend<RangeError>();
  expectTypeOf(error.errno).toEqualTypeOf<number>();
  expectTypeOf(error.code).toEqualTypeOf<string>();
  expectTypeOf(error.kernelMessage).toEqualTypeOf<string | undefined>();
}

export function machines(): void {
  expectTypeOf<(typeof VdpaMonitor)['open']>().returns.resolves.toExtend<AsyncIterable<VdpaEvent> & AsyncDisposable>();
  // A client will do, and so will what answers two of its questions.
  expectTypeOf<VdpaClient>().toExtend<Parameters<typeof VdpaMonitor.open>[0]['client']>();
  expectTypeOf(deleteDevice).parameter(0).toEqualTypeOf<Pick<VdpaClient, 'deleteDevice'>>();
  expectTypeOf(bindDriver).parameter(2).toEqualTypeOf<string>();
  expectTypeOf(readTree).returns.resolves.toBeArray();
  expectTypeOf(planChanges).returns.toEqualTypeOf<readonly Change[]>();
  expectTypeOf<Plan['changes']>().toEqualTypeOf<readonly Change[]>();
  expectTypeOf<DesiredDevice['driver']>().toEqualTypeOf<string | null | undefined>();
}

export function servedDevices(): void {
  // From the table of fields: each type has its own.
  expectTypeOf<Extract<ServedDeviceSpec, { type: 'block' }>['backend']>().toEqualTypeOf<
    'ram' | 'file' | 'nbd' | 'null' | undefined
  >();
  expectTypeOf<Extract<ServedDeviceSpec, { type: 'net' }>['backend']>().toEqualTypeOf<'loopback' | 'tap' | undefined>();
  expectTypeOf<Extract<ServedDeviceSpec, { type: 'block' }>['blockSize']>().toEqualTypeOf<512 | 4096 | undefined>();
  expectTypeOf<Extract<ServedDeviceSpec, { type: 'net' }>>().not.toHaveProperty('path');
  expectTypeOf<VduseServers['list']>().returns.resolves.toEqualTypeOf<VduseInstance[]>();
}
