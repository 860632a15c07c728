/** Network interfaces by ioctl(2), see netdevice(7); of the network namespace that this process is in. */
import { Errno } from './errno.js';
import { SystemError } from './error.js';
import { ioctl } from './ioctl.js';
import { checked, close } from './libc.js';
import { socket, SOCK_CLOEXEC } from './socket.js';

/** From linux/sockios.h. */
const SIOCGIFNAME = 0x8910;
const SIOCGIFMTU = 0x8921;
const SIOCSIFMTU = 0x8922;
const SIOCGIFHWADDR = 0x8927;
const SIOCGIFINDEX = 0x8933;

/** struct ifreq in bytes: a name of {@link IFNAMSIZ} bytes, followed by data. */
export const IFREQ_LENGTH = 40;
/** Bytes of an interface's name, with the NUL at its end. */
export const IFNAMSIZ = 16;

/** Any socket works; the sandbox of the systemd units permits this one. */
const AF_UNIX = 1;
const SOCK_DGRAM = 2;

/** Its index, which is unique in the namespace; undefined if there is no interface of that name. @throws SystemError */
export function interfaceIndex(name: string): number | undefined {
  return ask(`find the interface ${name}`, SIOCGIFINDEX, { name })?.number;
}

/** The current name of an interface; undefined if there is none with that index. @throws SystemError */
export function interfaceName(index: number): string | undefined {
  return ask(`find the interface with index ${index}`, SIOCGIFNAME, { number: index })?.name;
}

/** Sets the MTU of an interface, if it differs. @param mtu bytes @throws SystemError */
export function setInterfaceMtu(name: string, mtu: number): void {
  if (ask(`read the MTU of ${name}`, SIOCGIFMTU, { name })?.number === mtu) return;
  ask(`set the MTU of ${name} to ${mtu}`, SIOCSIFMTU, { name, number: mtu });
}

/** The six bytes of its hardware address; undefined if there is no interface of that name. @throws SystemError */
export function interfaceAddress(name: string): Uint8Array | undefined {
  return ask(`read the address of ${name}`, SIOCGIFHWADDR, { name })?.address;
}

interface Request {
  readonly name: string;
  readonly number: number;
}

interface Answer extends Request {
  /** The data after the family in a struct sockaddr. */
  readonly address: Uint8Array;
}

/** @returns undefined if there is no such interface */
function ask(operation: string, request: number, { name = '', number = 0 }: Partial<Request>): Answer | undefined {
  const bytes = new Uint8Array(IFREQ_LENGTH);
  bytes.set(Buffer.from(name));
  const view = new DataView(bytes.buffer);
  view.setInt32(IFNAMSIZ, number, true);
  const fd = checked(operation, socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  try {
    ioctl(operation, fd, request, bytes);
  } catch (error) {
    if (error instanceof SystemError && (error.errno === Errno.ENODEV || error.errno === Errno.ENXIO)) return undefined;
    throw error;
  } finally {
    close(fd);
  }
  return {
    name: Buffer.from(bytes.subarray(0, bytes.indexOf(0))).toString(),
    number: view.getInt32(IFNAMSIZ, true),
    address: bytes.slice(IFNAMSIZ + 2, IFNAMSIZ + 8),
  };
}
