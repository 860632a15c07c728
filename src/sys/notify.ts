/**
 * What a service tells systemd of itself: sd_notify(3), datagrams to the socket that NOTIFY_SOCKET names.
 */
import { checked, close } from './libc.js';
import { sendto, socket, SOCK_CLOEXEC } from './socket.js';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
/** struct sockaddr_un: u16 family, 108 bytes of path. */
const MAX_PATH = 108;

/**
 * Tells systemd something, where it has asked to be told.
 * @param state `READY=1`, `STATUS=…` and such, one a line
 * @throws SystemError
 */
export function notifySystemd(path: string | undefined, state: string): void {
  if (path === undefined || (!path.startsWith('/') && !path.startsWith('@'))) return;
  const name = Buffer.from(path);
  if (name.length > MAX_PATH) return;
  // A name that begins with @ is one of the abstract namespace, which begins with NUL.
  if (name[0] === 0x40) name[0] = 0;
  const address = new Uint8Array(2 + name.length);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(name, 2);
  const fd = checked('open a socket to systemd', socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  try {
    const text = Buffer.from(state);
    checked('tell systemd', sendto(fd, text, text.length, 0, address, address.length));
  } finally {
    close(fd);
  }
}
