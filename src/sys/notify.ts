/** Notifies systemd of the state of a service: sd_notify(3), datagrams to the socket that NOTIFY_SOCKET names. */
import { sendUnixDatagram } from './unix-datagram.js';

/**
 * Notifies systemd, if it has requested that.
 * @param state `READY=1`, `STATUS=…` and so on, one per line
 * @throws SystemError
 */
export function notifySystemd(path: string | undefined, state: string): void {
  if (path === undefined || (!path.startsWith('/') && !path.startsWith('@'))) return;
  sendUnixDatagram('tell systemd', path, state);
}
