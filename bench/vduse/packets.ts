/**
 * A program that sends packets from an interface to a hardware address, as fast as it can:
 * node packets.js INTERFACE MAC LENGTH SECONDS
 */
import { readFileSync } from 'node:fs';
import { checked, libc } from '../../src/sys/libc.js';
import { NativeBuffer } from '../../src/sys/memory.js';
import { octets, openPacketSocket } from './packet-socket.js';

/** For experiments: no protocol in the kernel handles it. */
const protocol = 0x88b5;
const messages = 64;
/** struct mmsghdr: struct msghdr of 56 bytes, whose vector is at 16 and its length at 24; then the number of bytes sent. */
const messageBytes = 64;

const sendmmsg: (fd: number, messages: number, count: number, flags: number) => number = libc.func(
  'int sendmmsg(int fd, uintptr_t messages, unsigned int count, int flags)',
);

const [netdev = '', mac = '', length = '', seconds = ''] = process.argv.slice(2);
const fd = openPacketSocket(netdev, protocol);

const packet = new NativeBuffer(Number(length));
packet.u8.set(octets(mac), 0);
packet.u8.set(octets(readFileSync(`/sys/class/net/${netdev}/address`, 'utf8').trim()), 6);
packet.u8.set([protocol >> 8, protocol & 0xff], 12);

const vector = new NativeBuffer(16);
const view = new DataView(vector.u8.buffer);
view.setBigUint64(0, BigInt(packet.address), true);
view.setBigUint64(8, BigInt(length), true);
const list = new NativeBuffer(messages * messageBytes);
for (let index = 0; index < messages; index++) {
  const message = new DataView(list.u8.buffer, index * messageBytes);
  message.setBigUint64(16, BigInt(vector.address), true);
  message.setBigUint64(24, 1n, true);
}
const end = performance.now() + Number(seconds) * 1000;
while (performance.now() < end) {
  for (let turn = 0; turn < 16; turn++) checked('send packets', sendmmsg(fd, list.address, messages, 0));
}
