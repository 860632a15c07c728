import { chmodSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createServer } from 'node:net';

/**
 * The far end of a QEMU network device whose queues are served elsewhere (`-netdev vhost-user`), the only kind with several queue
 * pairs that an unprivileged QEMU can have. It accepts every request of the device, and serves no queue: what the guest sends
 * stays in the ring. The numbers are from QEMU's docs/interop/vhost-user.rst.
 */

const GET_FEATURES = 1;
const GET_VRING_BASE = 11;
const GET_PROTOCOL_FEATURES = 15;
const GET_QUEUE_NUM = 17;

const FLAG_VERSION = 1;
const FLAG_REPLY = 1 << 2;
const FLAG_NEED_REPLY = 1 << 3;
const HEADER_BYTES = 12;
/** More than the longest message, that of memory regions. */
const PAYLOAD_LIMIT = 4096;

const bits = (...numbers: readonly number[]): bigint => numbers.reduce((mask, bit) => mask | (1n << BigInt(bit)), 0n);

/** VIRTIO_NET_F_MTU, _MRG_RXBUF, _STATUS, _CTRL_VQ, _MQ; VIRTIO_RING_F_INDIRECT_DESC, _EVENT_IDX. */
const NET_FEATURES = [3, 15, 16, 17, 22, 28, 29];
/** VHOST_USER_F_PROTOCOL_FEATURES, VIRTIO_F_VERSION_1. */
const FEATURES = bits(...NET_FEATURES, 30, 32);
/** VHOST_USER_PROTOCOL_F_MQ, _REPLY_ACK, _NET_MTU. */
const PROTOCOL_FEATURES = bits(0, 3, 4);

/**
 * Listens for one QEMU.
 * @param pairs the maximum number of queue pairs
 * @returns a function that stops it
 */
export async function startVhostUserPeer(path: string, pairs: number): Promise<() => void> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let rest = Buffer.alloc(0);
    socket.on('data', (bytes) => {
      rest = Buffer.concat([rest, bytes]);
      for (;;) {
        const size = rest.length < HEADER_BYTES ? 0 : rest.readUInt32LE(8);
        if (size > PAYLOAD_LIMIT) socket.destroy();
        if (rest.length < HEADER_BYTES + size || socket.destroyed) return;
        const reply = answer(rest.subarray(0, HEADER_BYTES + size), pairs);
        if (reply !== undefined) socket.write(reply);
        rest = rest.subarray(HEADER_BYTES + size);
      }
    });
    // QEMU has exited, as it does at the end of each session.
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  // The guest's user connects to it; the permissions of the folder keep others out.
  chmodSync(path, 0o666);
  return () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
}

/** The reply to a message, if it requires one. */
function answer(message: Buffer, pairs: number): Buffer | undefined {
  const request = message.readUInt32LE(0);
  switch (request) {
    case GET_FEATURES:
      return reply(request, u64(FEATURES));
    case GET_PROTOCOL_FEATURES:
      return reply(request, u64(PROTOCOL_FEATURES));
    case GET_QUEUE_NUM:
      return reply(request, u64(BigInt(pairs)));
    case GET_VRING_BASE:
      // The queue's index, and its position: 0, as it is never served.
      return reply(request, Buffer.concat([message.subarray(HEADER_BYTES, HEADER_BYTES + 4), Buffer.alloc(4)]));
    default:
      return (message.readUInt32LE(4) & FLAG_NEED_REPLY) === 0 ? undefined : reply(request, u64(0n));
  }
}

function reply(request: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(request, 0);
  header.writeUInt32LE(FLAG_VERSION | FLAG_REPLY, 4);
  header.writeUInt32LE(payload.length, 8);
  return Buffer.concat([header, payload]);
}

function u64(value: bigint): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(value);
  return buffer;
}
