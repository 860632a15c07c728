import { checked, close } from './libc.js';
import { MSG_DONTWAIT, sendto, socket, SOCK_CLOEXEC } from './socket.js';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
/** struct sockaddr_un: u16 family, 108 bytes of path. */
const MAX_PATH = 108;

/**
 * Sends a datagram to a unix socket, without waiting for the reader.
 * @param operation a human-readable description of the operation
 * @param path a file, or a name of the abstract namespace, which begins with `@`
 * @throws SystemError: EAGAIN if the reader is too slow, ENOENT or ECONNREFUSED if there is none
 */
export function sendUnixDatagram(operation: string, path: string, text: string): void {
  const name = Buffer.from(path);
  if (name.length > MAX_PATH) return;
  if (name[0] === 0x40) name[0] = 0;
  const address = new Uint8Array(2 + name.length);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(name, 2);
  const fd = checked(operation, socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  try {
    const bytes = Buffer.from(text);
    checked(operation, sendto(fd, bytes, bytes.length, MSG_DONTWAIT, address, address.length));
  } finally {
    close(fd);
  }
}
