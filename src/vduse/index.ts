/// <reference types="node" preserve="true" />
/**
 * The library of VDUSE: devices served by this process. {@link serve} serves block and network devices, with backends
 * of your own if needed; {@link VduseServer.start} serves any device with a data plane of your own.
 */
export { serve, type ServeOptions, type ServedDevice } from './serve.js';
export type { BlockDeviceOptions } from './block/device.js';
export type { NetDeviceOptions } from './net/device.js';
export type { BlockBackendOptions, NetBackendOptions } from './spec/backend.js';
export type { AioMode, CacheMode } from './spec/fields.js';
export {
  ImmediateBackend,
  OperationType,
  SimpleBlockBackend,
  type BackendTransfers,
  type BlockBackend,
  type Operation,
} from './block/backend.js';
export type { CreateBlockBackend } from './block/module.js';
export { BlockPlane, type BlockChange, type BlockLimits } from './block/data-plane.js';
export { NetPlane, type NetBackend } from './net/data-plane.js';
export { FlushRecord } from './block/flush-record.js';
export type { RecordedSpec, InstanceRecord } from './spec/instance-record.js';
export { VduseServer, type Backing, type ServerEvents, type ServerOptions } from './server.js';
export type { QueueStatus, ServerState, ServerStatus } from './engine/status.js';
export type { DeviceIdentity } from './kernel/control.js';
export { RING_FEATURES, hasFeature } from './engine/negotiation.js';
export { QueueCounter, type CounterName, type QueueState } from './engine/counters.js';
export { ServeResult } from './engine/data-plane.js';
export type { CreateDataPlane, DataPlane, DataPlaneContext, DataPlaneModule, Transfers } from './engine/data-plane.js';
export { EpollWaiter, type Waiter } from './engine/waiter.js';
export { InflightFile, type LoggedQueues } from './engine/inflight-file.js';
export { MemoryRevokedError, type DeviceQueue } from './engine/queue.js';
export { BrokenRingError, type QueueLayout, type Virtqueue } from '../virtio/virtqueue.js';
export { DescriptorChain, type SegmentSink } from '../virtio/descriptor-chain.js';
export type { MemoryRegion } from '../virtio/guest-memory.js';
export { IoVector } from '../sys/io-vector.js';
export { copyMemory } from '../sys/guarded-copy.js';
export type { WaitOptions } from '../sys/wait.js';
export { ArgumentError, SystemError } from '../sys/error.js';
export { DeviceNameError } from './kernel/name.js';
export { DeviceOptionError } from './spec/error.js';
export { BackendError, LaunchError, VduseError } from './error.js';
