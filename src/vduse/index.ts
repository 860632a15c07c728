/// <reference types="node" preserve="true" />
/** The library of VDUSE: devices served by this process. */
export { BlockPlane, type BlockLimits } from './block-plane.js';
export * from './block-backend.js';
export { serveBlockDevice, type BlockDeviceOptions } from './block-device.js';
export type { CreateBlockBackend } from './block-module.js';
export type { StorageOptions } from './spec/backend.js';
export type { DeviceIdentity } from './control.js';
export { MORE, QUIET, STARVED, WAIT } from './data-plane.js';
export type { CreateDataPlane, DataPlane, DataPlaneContext, DataPlaneModule, Served } from './data-plane.js';
export type { DeviceQueue } from './device-queue.js';
export { FlushNote } from './flush-note.js';
export type { InstanceMakings, InstanceRecord } from './instance-record.js';
export { DeviceNameError } from './name.js';
export { DeviceOptionError } from './spec/error.js';
export { LaunchError, VduseError } from './error.js';
export { serveNetDevice, type NetDevice, type NetDeviceOptions } from './net-device.js';
export { VduseServer, type ServerOptions } from './server.js';
export type { QueueStatus, ServerState, ServerStatus } from './server-status.js';
