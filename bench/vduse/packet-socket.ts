/** Packet sockets for programs that send raw frames. */
import { readFileSync } from 'node:fs';
import { checked } from '../../src/sys/libc.js';
import { bind, SOCK_CLOEXEC, SOCK_RAW, socket } from '../../src/sys/socket.js';

const AF_PACKET = 17;
const sockaddrBytes = 20;

/** Opens one that sends on an interface and receives its frames of an EtherType. @throws SystemError */
export function openPacketSocket(netdev: string, protocol: number): number {
  const fd = checked('open a packet socket', socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  const address = new DataView(new ArrayBuffer(sockaddrBytes));
  address.setUint16(0, AF_PACKET, true);
  address.setUint16(2, protocol);
  address.setInt32(4, Number(readFileSync(`/sys/class/net/${netdev}/ifindex`, 'utf8')), true);
  checked('bind a packet socket', bind(fd, new Uint8Array(address.buffer), sockaddrBytes));
  return fd;
}

/** The bytes of a hardware address. */
export function octets(mac: string): Uint8Array {
  return Uint8Array.from(mac.split(':'), (octet) => Number.parseInt(octet, 16));
}
