/**
 * A disk that another program serves by vhost-user: its queues are in memory that both map, without a kernel's device.
 *
 * QEMU's documentation, "Vhost-user Protocol".
 */
import { checked, close, libc } from '../../src/sys/libc.js';
import { NativeBuffer } from '../../src/sys/memory.js';
import { SOCK_CLOEXEC, socket } from '../../src/sys/socket.js';
import { base, queueSize, type LoadedQueue } from './loaded-queue.js';
import type { MemoryDriver } from './memory-driver.js';

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;

/** struct msghdr, struct iovec, and struct cmsghdr with a descriptor, of a 64-bit machine. */
const MESSAGE = { bytes: 56, iovec: 16, iovecCount: 24, control: 32, controlLength: 40 } as const;
const IOVEC_BYTES = 16;
const CONTROL = { bytes: 24, length: 20, level: 8, type: 12, data: 16 } as const;

const Request = {
  GET_FEATURES: 1,
  SET_FEATURES: 2,
  SET_OWNER: 3,
  SET_MEM_TABLE: 5,
  SET_VRING_NUM: 8,
  SET_VRING_ADDR: 9,
  SET_VRING_BASE: 10,
  SET_VRING_KICK: 12,
  SET_VRING_CALL: 13,
} as const;
/** struct: u32 request, u32 flags, u32 size of the payload. */
const HEADER_BYTES = 12;
const VERSION = 1;

const connect: (fd: number, address: Uint8Array, length: number) => number = libc.func(
  'int connect(int fd, const void *address, uint32_t length)',
);
const sendmsg: (fd: number, message: number, flags: number) => number = libc.func(
  'intptr_t sendmsg(int fd, uintptr_t message, int flags)',
);
const recv: (fd: number, bytes: Uint8Array, length: number, flags: number) => number = libc.func(
  'intptr_t recv(int fd, void *bytes, size_t length, int flags)',
);

export class VhostUserDisk {
  readonly #fd: number;
  readonly #buffer = new NativeBuffer(512);
  readonly #view = new DataView(this.#buffer.u8.buffer);

  /** @param path of the server's unix socket @throws SystemError */
  constructor(path: string) {
    const name = Buffer.from(path);
    const address = new Uint8Array(2 + name.length + 1);
    new DataView(address.buffer).setUint16(0, AF_UNIX, true);
    address.set(name, 2);
    this.#fd = checked('create a socket', socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    checked('connect to the server', connect(this.#fd, address, address.length));
  }

  /** Has the server serve the queues of a driver. @param features those that the driver uses */
  start({ memory, bytes, queues }: MemoryDriver, features: bigint): void {
    this.#send(Request.GET_FEATURES, []);
    const offered = this.#receiveNumber();
    if ((features & ~offered) !== 0n) throw new Error(`the server offers only 0x${offered.toString(16)}`);
    this.#send(Request.SET_OWNER, []);
    this.#send(Request.SET_FEATURES, [features]);
    const region = [BigInt(base), BigInt(bytes), BigInt(base), 0n];
    this.#send(Request.SET_MEM_TABLE, [1n, ...region], memory);
    for (const [index, queue] of queues.entries()) this.#startQueue(BigInt(index), queue);
  }

  #startQueue(index: bigint, { ring, kick, call }: LoadedQueue): void {
    const pair = (value: number): bigint => index | (BigInt(value) << 32n);
    this.#send(Request.SET_VRING_NUM, [pair(queueSize)]);
    this.#send(Request.SET_VRING_BASE, [pair(0)]);
    const addresses = [ring.descriptorArea, ring.deviceArea, ring.driverArea].map(BigInt);
    this.#send(Request.SET_VRING_ADDR, [pair(0), ...addresses, 0n]);
    this.#send(Request.SET_VRING_CALL, [index], call);
    this.#send(Request.SET_VRING_KICK, [index], kick);
  }

  /** @param payload of 64-bit words */
  #send(request: number, payload: readonly bigint[], descriptor?: number): void {
    const { address } = this.#buffer;
    const view = this.#view;
    const iovec = MESSAGE.bytes;
    const control = iovec + IOVEC_BYTES;
    const data = control + CONTROL.bytes;
    for (let at = 0; at < data; at += 8) view.setBigUint64(at, 0n, true);
    view.setBigUint64(MESSAGE.iovec, BigInt(address + iovec), true);
    view.setBigUint64(MESSAGE.iovecCount, 1n, true);
    view.setBigUint64(iovec, BigInt(address + data), true);
    view.setBigUint64(iovec + 8, BigInt(HEADER_BYTES + payload.length * 8), true);
    if (descriptor !== undefined) {
      view.setBigUint64(MESSAGE.control, BigInt(address + control), true);
      view.setBigUint64(MESSAGE.controlLength, BigInt(CONTROL.bytes), true);
      view.setBigUint64(control, BigInt(CONTROL.length), true);
      view.setUint32(control + CONTROL.level, SOL_SOCKET, true);
      view.setUint32(control + CONTROL.type, SCM_RIGHTS, true);
      view.setUint32(control + CONTROL.data, descriptor, true);
    }
    view.setUint32(data, request, true);
    view.setUint32(data + 4, VERSION, true);
    view.setUint32(data + 8, payload.length * 8, true);
    payload.forEach((word, index) => {
      view.setBigUint64(data + HEADER_BYTES + index * 8, word, true);
    });
    checked('send to the server', sendmsg(this.#fd, address, 0));
  }

  #receiveNumber(): bigint {
    const bytes = new Uint8Array(HEADER_BYTES + 8);
    let length = 0;
    while (length < bytes.length) {
      const count = checked(
        'receive from the server',
        recv(this.#fd, bytes.subarray(length), bytes.length - length, 0),
      );
      if (count === 0) throw new Error('the server closed the connection');
      length += count;
    }
    return new DataView(bytes.buffer).getBigUint64(HEADER_BYTES, true);
  }

  /** The server stops to serve the queues. */
  close(): void {
    close(this.#fd);
    this.#buffer.free();
  }
}
