import { checked, libc } from '../../src/sys/libc.js';
import { NativeBuffer } from '../../src/sys/memory.js';

const AF_UNIX = 1;
const SOCK_DGRAM_NONBLOCK = 2 | 0o4000;
const socketpair: (domain: number, type: number, protocol: number, fds: number) => number = libc.func(
  'int socketpair(int domain, int type, int protocol, uintptr_t fds)',
);

/** A pair of non-blocking packet sockets, in place of a tap and its network. The caller closes both. */
export function openSocketPair(): { readonly tap: number; readonly network: number } {
  const fds = new NativeBuffer(8);
  checked('make a pair of sockets', socketpair(AF_UNIX, SOCK_DGRAM_NONBLOCK, 0, fds.address));
  const [tap = -1, network = -1] = fds.u32;
  fds.free();
  return { tap, network };
}
