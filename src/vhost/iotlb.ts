/** Messages that change the I/O address space of a device: struct vhost_msg_v2 of include/uapi/linux/vhost_types.h. */
import { Structure } from '../sys/structure.js';
import {
  IOTLB_MSG_V2_SIZE,
  VHOST_IOTLB_BATCH_BEGIN,
  VHOST_IOTLB_BATCH_END,
  VHOST_IOTLB_INVALIDATE,
  VHOST_IOTLB_MSG_V2,
  VHOST_IOTLB_UPDATE,
} from './uapi.js';

/** A change of an address space, or the begin or end of several that take effect together. */
export type IotlbMessage =
  | {
      readonly kind: 'update';
      readonly iova: bigint;
      /** In bytes. */
      readonly size: bigint;
      /** The address of the memory in this process. */
      readonly address: bigint;
      /** VHOST_ACCESS_RO, VHOST_ACCESS_WO or VHOST_ACCESS_RW. */
      readonly access: number;
    }
  | { readonly kind: 'invalidate'; readonly iova: bigint; readonly size: bigint }
  | { readonly kind: 'batch begin' }
  | { readonly kind: 'batch end' };

const types = {
  update: VHOST_IOTLB_UPDATE,
  invalidate: VHOST_IOTLB_INVALIDATE,
  'batch begin': VHOST_IOTLB_BATCH_BEGIN,
  'batch end': VHOST_IOTLB_BATCH_END,
} as const;

/**
 * The bytes of a message.
 * @param asid the number of the address space; other ones than 0 require VHOST_BACKEND_F_IOTLB_ASID
 */
export function encodeIotlbMessage(message: IotlbMessage, asid: number): Uint8Array {
  const bytes = new Structure(IOTLB_MSG_V2_SIZE).u32(0, VHOST_IOTLB_MSG_V2).u32(4, asid).u8(33, types[message.kind]);
  if (message.kind === 'update' || message.kind === 'invalidate') bytes.u64(8, message.iova).u64(16, message.size);
  if (message.kind === 'update') bytes.u64(24, message.address).u8(32, message.access);
  return bytes.bytes;
}
