/// <reference types="node" preserve="true" />
/** The library of VDUSE: devices served by this process. */
export { BlockPlane, type BlockLimits } from './block/data-plane.js';
export * from './block/backend.js';
export { serveBlockDevice, type BlockDeviceOptions } from './block/device.js';
export type { CreateBlockBackend } from './block/module.js';
export type { StorageOptions } from './spec/backend.js';
export type { DeviceIdentity } from './kernel/control.js';
export { MORE, QUIET, STARVED, WAIT } from './engine/data-plane.js';
export type {
  CreateDataPlane,
  DataPlane,
  DataPlaneContext,
  DataPlaneModule,
  ServeResult,
} from './engine/data-plane.js';
export type { DeviceQueue } from './engine/queue.js';
export { FlushRecord } from './block/flush-record.js';
export type { RecordedSpec, InstanceRecord } from './spec/instance-record.js';
export { DeviceNameError } from './kernel/name.js';
export { DeviceOptionError } from './spec/error.js';
export { LaunchError, VduseError } from './error.js';
export { serveNetDevice, type NetDevice, type NetDeviceOptions } from './net/device.js';
export { VduseServer, type ServerOptions } from './server.js';
export type { QueueStatus, ServerState, ServerStatus } from './engine/status.js';
