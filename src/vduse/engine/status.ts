import type { CounterName, QueueState } from './counters.js';

/** The state of a device in its life cycle. */
export type ServerState =
  /** No driver uses it. */
  | 'idle'
  /** A driver uses it. */
  | 'running'
  /** A driver has suspended it until the next reset. */
  | 'suspended'
  /** The kernel has given it up because a request was not answered in time: it must be deleted and created again. */
  | 'broken'
  /** It is no longer served. */
  | 'stopped';

/** The status that a server reports. */
export interface ServerStatus {
  readonly name: string;
  readonly state: ServerState;
  /** Whether the device is on the vdpa bus. */
  readonly attached: boolean;
  /** The virtio status bits last set by the driver, and DEVICE_NEEDS_RESET if it has broken a ring. */
  readonly driverStatus: number;
  readonly deviceId: number;
  /** The negotiated features; 0 before negotiation. */
  readonly features: bigint;
  readonly queueSize: number;
  /** For how many seconds the file of the device has not responded; absent if it responds, or there is none. */
  readonly stalledSeconds?: number;
  readonly queues: readonly QueueStatus[];
}

export interface QueueStatus extends Record<CounterName, number> {
  readonly state: QueueState;
}
