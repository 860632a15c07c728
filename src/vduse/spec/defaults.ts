/** Defaults of served devices. Does not access the machine. */
import * as blk from '../../virtio/block.js';
import { formatMac } from '../../virtio/mac-address.js';
import * as net from '../../virtio/net.js';

/** Default size of a block device, in bytes. */
export const DEFAULT_SIZE = 64 * 1024 * 1024;
/** Default size of its logical blocks, in bytes. */
export const DEFAULT_BLOCK_SIZE = 512;
/** Default time for which requests wait for an NBD server that is gone, in seconds. */
export const DEFAULT_RECONNECT = 30;
/** Default number of descriptors of a queue. */
export const DEFAULT_QUEUE_SIZE = 256;

/** The default serial number of a block device: its name, truncated if necessary. */
export function defaultSerial(name: string): string {
  let serial = '';
  for (const character of name) {
    if (Buffer.byteLength(serial + character) > blk.VIRTIO_BLK_ID_BYTES) break;
    serial += character;
  }
  return serial;
}

/** The default MAC address of a network device, derived from its name: locally administered, not a group address. */
export function defaultMac(name: string): string {
  // Loading it takes 3 ms, and most commands on the simulated machine derive no address.
  const { createHash } = process.getBuiltinModule('node:crypto');
  const mac = new Uint8Array(createHash('sha256').update(name).digest().subarray(0, net.ETH_ALEN));
  mac[0] = ((mac[0] ?? 0) & 0xfc) | 0x02;
  return formatMac(mac);
}
