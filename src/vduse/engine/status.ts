import type { CounterName, QueueState } from './counters.js';

/** Where a device is in its life. */
export type ServerState =
  /** No driver uses it. */
  | 'idle'
  /** A driver uses it. */
  | 'running'
  /** A driver has suspended it, until it resets it. */
  | 'suspended'
  /** The kernel has given it up, because a request was not answered in time: it must be deleted and made anew. */
  | 'broken'
  /** It is not served any more. */
  | 'stopped';

/** What a server says of itself. */
export interface ServerStatus {
  readonly name: string;
  readonly state: ServerState;
  /** Whether the device is on the vdpa bus. */
  readonly attached: boolean;
  /** virtio's status bits, as the driver last set them; and DEVICE_NEEDS_RESET where it has broken a ring. */
  readonly driverStatus: number;
  readonly deviceId: number;
  /** What the driver negotiated; 0 before it did. */
  readonly features: bigint;
  readonly queueSize: number;
  /** For how many seconds the file behind the device has not answered; absent where it does, or there is none. */
  readonly stalledSeconds?: number;
  readonly queues: readonly QueueStatus[];
}

export interface QueueStatus extends Record<CounterName, number> {
  readonly state: QueueState;
}
