/** A request of a block device's driver, from when it is taken until it is completed. */
import { Errno } from '../../sys/errno.js';
import * as blk from '../../virtio/block.js';
import type { MemoryRegion } from '../../virtio/guest-memory.js';
import type { DeviceQueue } from '../engine/queue.js';
import { FLUSH, type Operation, type OperationType } from './backend.js';

/** An operation of a request; reused. */
export class OperationSlot implements Operation {
  type: OperationType = FLUSH;
  position = 0;
  length = 0;
  first = 0;
  count = 0;
  unmap = false;
  error = 0;
  readonly request: RequestSlot;

  constructor(request: RequestSlot) {
    this.request = request;
  }
}

/** A request that was taken and is not completed yet; reused. */
export class RequestSlot {
  queue: DeviceQueue;
  head = 0;
  /** The first `operationCount` are its own; the others are for later requests. */
  readonly operations: OperationSlot[] = [];
  operationCount = 0;
  /** How many of them are not done. */
  pending = 0;
  /** It can be completed once those before it are, where the order matters. */
  isDone = false;
  /** An error number, or 0. */
  error = 0;
  /** Data must be durable before it is completed. */
  mustFlush = false;
  /** Bytes of the writable part before the status byte. */
  dataIn = 0;
  dataOut = 0;
  /** Bytes that the device may write; 0 if that is not known. */
  writable = 0;
  statusRegion: MemoryRegion | undefined;
  statusOffset = 0;

  constructor(queue: DeviceQueue) {
    this.queue = queue;
  }
}

/** Only contiguous bytes from the first one count as written: the status byte only if there is no gap before it. */
export function bytesWritten(request: RequestSlot, error: number): number {
  const data = error === 0 ? request.dataIn : 0;
  return data + 1 === request.writable ? data + 1 : data;
}

/** The status of a request. @param error an error number, or 0 */
export function statusByte(error: number): number {
  if (error === 0) return blk.VIRTIO_BLK_S_OK;
  return error === Errno.EOPNOTSUPP ? blk.VIRTIO_BLK_S_UNSUPP : blk.VIRTIO_BLK_S_IOERR;
}
