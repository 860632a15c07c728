import { VDPA_ATTR_DEV_VENDOR_ATTR_NAME, VDPA_ATTR_DEV_VENDOR_ATTR_VALUE } from '../../../vdpa/uapi.js';
import type { MessageBuffer } from '../../netlink/message-buffer.js';
import type { Counter } from '../../state/model.js';

/**
 * Writes vendor counters of a virtqueue, each with a name and a value.
 * @param runningMs how long the driver has run the device, which counters with traffic depend on
 */
export function writeCounters(
  buffer: MessageBuffer,
  counters: Readonly<Record<string, Counter | bigint>>,
  runningMs = 0,
): void {
  for (const [name, counter] of Object.entries(counters)) {
    buffer.string(VDPA_ATTR_DEV_VENDOR_ATTR_NAME, name);
    buffer.u64(VDPA_ATTR_DEV_VENDOR_ATTR_VALUE, valueOf(counter, runningMs));
  }
}

/** A u64, which starts at 0 again after its maximum. */
function valueOf(counter: Counter | bigint, runningMs: number): bigint {
  if (typeof counter !== 'object') return BigInt(counter);
  const { start = 0, per_second } = counter;
  const gained = (BigInt(per_second) * BigInt(Math.trunc(runningMs))) / 1000n;
  return BigInt.asUintN(64, BigInt(start) + gained);
}
