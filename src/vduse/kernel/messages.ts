import * as uapi from './uapi.js';

/** Requests of the kernel to the server of a VDUSE device, read from its file. */
export type Request =
  /** Requests the progress of the device in a queue. */
  | { readonly type: 'get-queue-state'; readonly id: number; readonly queue: number }
  /** The driver sets the device's status; 0 resets it. */
  | { readonly type: 'set-status'; readonly id: number; readonly status: number }
  /** The mappings at [start, last] have changed. */
  | {
      readonly type: 'update-iotlb';
      readonly id: number;
      readonly start: bigint;
      readonly last: bigint;
      readonly asid: number;
    }
  /** A group of queues uses another address space. From API version 1 on. */
  | { readonly type: 'set-group-asid'; readonly id: number; readonly group: number; readonly asid: number }
  /** A queue will be used, or will no longer be used. With VDUSE_F_QUEUE_READY. */
  | { readonly type: 'set-queue-ready'; readonly id: number; readonly queue: number; readonly ready: boolean }
  /** The device must stop at its current position. With VDUSE_F_SUSPEND. */
  | { readonly type: 'suspend'; readonly id: number }
  | { readonly type: 'unknown'; readonly id: number; readonly number: number };

/** Reads a struct vduse_dev_request. @param apiVersion of the device: the address space id exists since version 1 */
export function decodeRequest(bytes: Uint8Array, apiVersion: bigint): Request {
  const view = new DataView(bytes.buffer, bytes.byteOffset, uapi.request.length);
  const number = view.getUint32(uapi.request.type, true);
  const id = view.getUint32(uapi.request.id, true);
  switch (number) {
    case uapi.VDUSE_GET_VQ_STATE:
      return { type: 'get-queue-state', id, queue: view.getUint32(uapi.request.queueState.index, true) };
    case uapi.VDUSE_SET_STATUS:
      return { type: 'set-status', id, status: view.getUint8(uapi.request.status) };
    case uapi.VDUSE_UPDATE_IOTLB: {
      const { start, last, asid } = uapi.request.iova;
      return {
        type: 'update-iotlb',
        id,
        start: view.getBigUint64(start, true),
        last: view.getBigUint64(last, true),
        asid: apiVersion >= uapi.VDUSE_API_VERSION_1 ? view.getUint32(asid, true) : 0,
      };
    }
    case uapi.VDUSE_SET_VQ_GROUP_ASID: {
      const { group, asid } = uapi.request.groupAsid;
      return { type: 'set-group-asid', id, group: view.getUint32(group, true), asid: view.getUint32(asid, true) };
    }
    case uapi.VDUSE_SET_VQ_READY: {
      const { index, ready } = uapi.request.queueReady;
      const queue = view.getUint32(index, true);
      return { type: 'set-queue-ready', id, queue, ready: view.getUint32(ready, true) !== 0 };
    }
    case uapi.VDUSE_SUSPEND:
      return { type: 'suspend', id };
    default:
      return { type: 'unknown', id, number };
  }
}

/** How a request was answered. */
export interface Answer {
  readonly ok: boolean;
  /** For `get-queue-state`: where the device continues. */
  readonly queueState?: {
    readonly queue: number;
    /** Whether the position is a place in a packed ring, with the wrap counter in bit 15, or an available index. */
    readonly packed: boolean;
    readonly position: number;
  };
}

/** Writes a struct vduse_dev_response. */
export function encodeResponse(id: number, answer: Answer): Uint8Array {
  const bytes = new Uint8Array(uapi.response.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(uapi.response.id, id, true);
  view.setUint32(uapi.response.result, answer.ok ? uapi.VDUSE_REQ_RESULT_OK : uapi.VDUSE_REQ_RESULT_FAILED, true);
  if (answer.queueState) {
    view.setUint32(uapi.response.queueState.index, answer.queueState.queue, true);
    encodeQueueState(view, answer.queueState);
  }
  return bytes;
}

/** Nothing is in flight in a queue whose state is asked for: the two places of a packed one are the same. */
function encodeQueueState(view: DataView, { packed, position }: NonNullable<Answer['queueState']>): void {
  const at = uapi.response.queueState;
  if (!packed) {
    view.setUint16(at.split.availableIndex, position, true);
    return;
  }
  view.setUint16(at.packed.lastAvailableCounter, position >>> 15, true);
  view.setUint16(at.packed.lastAvailableIndex, position & 0x7fff, true);
  view.setUint16(at.packed.lastUsedCounter, position >>> 15, true);
  view.setUint16(at.packed.lastUsedIndex, position & 0x7fff, true);
}
