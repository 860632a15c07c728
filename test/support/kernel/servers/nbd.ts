import '../lab/inside.js';
import { Socket } from 'node:net';
import { GenlSocket } from '../../../../src/netlink/genl.js';
import { AttributeWriter } from '../../../../src/netlink/attribute.js';
import { checked, close, libc } from '../../../../src/sys/libc.js';

const socketpair: (domain: number, type: number, protocol: number, pair: Int32Array) => number = libc.func(
  'int socketpair(int domain, int type, int protocol, void *pair)',
);
const AF_UNIX = 1;
const SOCK_STREAM = 1;

/** linux/nbd-netlink.h */
const NBD_CMD_CONNECT = 1;
const NBD_CMD_DISCONNECT = 2;
const NBD_ATTR_INDEX = 1;
const NBD_ATTR_SIZE_BYTES = 2;
const NBD_ATTR_BLOCK_SIZE_BYTES = 3;
const NBD_ATTR_SERVER_FLAGS = 5;
const NBD_ATTR_SOCKETS = 7;
const NBD_SOCK_ITEM = 1;
const NBD_SOCK_FD = 1;

/** linux/nbd.h: struct nbd_request is magic, type, cookie, from and length; struct nbd_reply magic, error and cookie. */
const REQUEST_LENGTH = 28;
const REPLY_MAGIC = 0x67446698;
const NBD_CMD_READ = 0;
const NBD_CMD_WRITE = 1;

/** Serves the requests that arrive on a socket, from memory. */
function serve(socket: Socket, memory: Buffer): void {
  let input = Buffer.alloc(0);
  socket.on('data', (part: Buffer) => {
    input = Buffer.concat([input, part]);
    while (input.length >= REQUEST_LENGTH) {
      const command = input.readUInt32BE(4);
      const from = Number(input.readBigUInt64BE(16));
      const length = input.readUInt32BE(24);
      const end = REQUEST_LENGTH + (command === NBD_CMD_WRITE ? length : 0);
      if (input.length < end) return;
      const reply = Buffer.alloc(16);
      reply.writeUInt32BE(REPLY_MAGIC);
      input.copy(reply, 8, 8, 16);
      if (command === NBD_CMD_WRITE) input.copy(memory, from, REQUEST_LENGTH, end);
      socket.write(command === NBD_CMD_READ ? Buffer.concat([reply, memory.subarray(from, from + length)]) : reply);
      input = input.subarray(end);
    }
  });
}

/**
 * Makes /dev/nbd0 a disk that this process serves from memory.
 * @returns a function that detaches it
 */
export async function attachNbd(memory: Buffer): Promise<() => Promise<void>> {
  const pair = new Int32Array(2);
  checked('make a pair of sockets', socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  const [ours = -1, theirs = -1] = pair;
  const socket = new Socket({ fd: ours });
  serve(socket, memory);
  const genl = await GenlSocket.open();
  const family = await genl.family('nbd');
  await genl.gather(family, {
    command: NBD_CMD_CONNECT,
    attributes: new AttributeWriter()
      .u32(NBD_ATTR_INDEX, 0)
      .u64(NBD_ATTR_SIZE_BYTES, BigInt(memory.length))
      .u64(NBD_ATTR_BLOCK_SIZE_BYTES, 4096n)
      .u64(NBD_ATTR_SERVER_FLAGS, 1n)
      .nested(NBD_ATTR_SOCKETS, (sockets) => sockets.nested(NBD_SOCK_ITEM, (item) => item.u32(NBD_SOCK_FD, theirs)))
      .finish(),
  });
  close(theirs);
  return async () => {
    await genl.gather(family, {
      command: NBD_CMD_DISCONNECT,
      attributes: new AttributeWriter().u32(NBD_ATTR_INDEX, 0).finish(),
    });
    await genl.close();
    socket.destroy();
  };
}
