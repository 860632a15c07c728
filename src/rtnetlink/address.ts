import { SocketAddress } from 'node:net';
import { viewOf } from '../netlink/bytes.js';
import { NetlinkProtocolError } from '../netlink/error.js';
import { AF_INET, AF_INET6 } from './constants.js';

/** An address in its usual notation. @throws NetlinkProtocolError if its length is not that of its family */
export function formatAddress(family: number, bytes: Uint8Array): string {
  if (family === AF_INET && bytes.length === 4) return bytes.join('.');
  if (family !== AF_INET6 || bytes.length !== 16) {
    throw new NetlinkProtocolError(`an address of family ${family} has ${bytes.length} bytes`);
  }
  const view = viewOf(bytes);
  const groups = Array.from({ length: 8 }, (_, index) => view.getUint16(2 * index).toString(16));
  return new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address;
}
