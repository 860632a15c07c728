import { VDPA_ATTR_DEV_VENDOR_ATTR_NAME, VDPA_ATTR_DEV_VENDOR_ATTR_VALUE } from '../../../vdpa/uapi.js';
import type { MessageBuffer } from '../../netlink/message-buffer.js';

/** Writes vendor counters of a virtqueue, each with a name and a value. */
export function writeCounters(buffer: MessageBuffer, counters: Readonly<Record<string, number | bigint>>): void {
  for (const [name, value] of Object.entries(counters)) {
    buffer.string(VDPA_ATTR_DEV_VENDOR_ATTR_NAME, name);
    buffer.u64(VDPA_ATTR_DEV_VENDOR_ATTR_VALUE, BigInt(value));
  }
}
