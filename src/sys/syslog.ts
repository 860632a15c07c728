/** The system log: datagrams to /dev/log, in the format of syslog(3) (RFC 3164). journald and syslogd read them. */
import { sendUnixDatagram } from './unix-datagram.js';

/** From sys/syslog.h. */
export const LOG_ERR = 3;
export const LOG_WARNING = 4;
const LOG_DAEMON = 3 << 3;

const SOCKET = '/dev/log';

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;

/**
 * Sends a line to the system log, without waiting for the reader.
 * @param program the name of the program in the log
 * @throws SystemError if nothing receives it
 */
export function sendToSyslog(severity: number, program: string, line: string): void {
  const now = new Date();
  const two = (number: number): string => String(number).padStart(2, '0');
  const day = String(now.getDate()).padStart(2);
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map(two).join(':');
  const head = `<${LOG_DAEMON | severity}>${months[now.getMonth()] ?? ''} ${day} ${time} ${program}[${process.pid}]: `;
  sendUnixDatagram('write to the system log', SOCKET, head + line);
}
