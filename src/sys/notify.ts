/**
 * What a service tells systemd of itself: sd_notify(3), datagrams to the socket that NOTIFY_SOCKET names.
 */
import { sendUnixDatagram } from './unix-datagram.js';

/**
 * Tells systemd something, where it has asked to be told.
 * @param state `READY=1`, `STATUS=…` and such, one a line
 * @throws SystemError
 */
export function notifySystemd(path: string | undefined, state: string): void {
  if (path === undefined || (!path.startsWith('/') && !path.startsWith('@'))) return;
  sendUnixDatagram('tell systemd', path, state);
}
