import { checked, libc } from '../../src/sys/libc.js';
import { NativeBuffer } from '../../src/sys/memory.js';
import { setSocketOption, SOL_SOCKET } from '../../src/sys/socket.js';

const AF_UNIX = 1;
/** Without the limit of datagram sockets to the number of waiting packets. */
const SOCK_SEQPACKET_NONBLOCK = 5 | 0o4000;
const SO_SNDBUF = 7;
/** The default, which the kernel doubles. */
const SEND_BUFFER_BYTES = 212_992;
const socketpair: (domain: number, type: number, protocol: number, fds: number) => number = libc.func(
  'int socketpair(int domain, int type, int protocol, uintptr_t fds)',
);

/** A pair of non-blocking packet sockets, in place of a tap and its network. The caller closes both. */
export function openSocketPair(): { readonly tap: number; readonly network: number } {
  const fds = new NativeBuffer(8);
  checked('make a pair of sockets', socketpair(AF_UNIX, SOCK_SEQPACKET_NONBLOCK, 0, fds.address));
  const [tap = -1, network = -1] = fds.u32;
  fds.free();
  for (const fd of [tap, network]) {
    checked('set SO_SNDBUF', setSocketOption(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_BYTES));
  }
  return { tap, network };
}
