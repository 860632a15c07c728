import { Errno } from '../../sys/errno.js';
import { ioctl, ioctlNumber } from '../../sys/ioctl.js';
import { checked, close } from '../../sys/libc.js';
import {
  IFNAMSIZ,
  IFREQ_LENGTH,
  interfaceAddress,
  interfaceIndex,
  interfaceName,
} from '../../sys/network-interface.js';
import { inNamedNamespaces } from '../../sys/network-namespace.js';
import { formatMac } from '../../virtio/mac-address.js';
import { HEADER_SIZE } from '../../virtio/net.js';
import { VduseError } from '../error.js';
import { O_NONBLOCK, O_RDWR, openFile } from '../../sys/open-file.js';
import {
  IFF_MULTI_QUEUE,
  IFF_NO_PI,
  IFF_TAP,
  IFF_VNET_HDR,
  TUNSETIFF,
  TUNSETPERSIST,
  TUNSETVNETHDRSZ,
  TUNSETVNETLE,
} from '../../sys/tun.js';
import type { MadeTap } from '../spec/instance-record.js';

/** The name is not valid for an interface. */
export class InterfaceNameError extends VduseError {
  override readonly name = 'InterfaceNameError';
}

/**
 * An open tap interface. If none of the name exists, it is created, and removed when it is closed unless it is
 * persistent ({@link persistTap}); an existing one remains.
 */
export interface TapInterface {
  readonly name: string;
  /** Its index in the network namespace in which it was created. */
  readonly index: number;
  /** Its permanent hardware address, as text. */
  readonly address: string;
  /** Whether this server, or a previous one of the same instance, created it. */
  readonly isMade: boolean;
  /** The state of the interface that the last server created. */
  readonly former: 'none' | 'found' | 'lost';
  /** One for each queue; non-blocking. */
  readonly fds: readonly number[];
}

/**
 * Opens a tap interface whose packets have a virtio header. An interface created by servers of the instance is also
 * searched for in the named network namespaces: it may have been moved to one.
 * @param wanted its name; undefined to let the kernel choose
 * @param made the interface that the last server of the instance created: it may have been renamed
 * @throws InterfaceNameError, SystemError
 */
export function openTap(wanted: string | undefined, queues: number, made?: MadeTap): TapInterface {
  if (wanted !== undefined) checkInterfaceName(wanted);
  if (!made || (wanted !== undefined && wanted !== made.name)) {
    return { ...openNamed(wanted ?? '', queues), former: 'none' };
  }
  const { index } = made;
  const found = inNamespaceOf(made, (name): TapInterface => {
    return { ...openNamed(name, queues), index, isMade: true, former: 'found' };
  });
  return found ?? { ...openNamed(made.name, queues), former: 'lost' };
}

function openNamed(wanted: string, queues: number): Omit<TapInterface, 'former'> {
  const fds: number[] = [];
  let name = wanted;
  const isMade = name === '' || interfaceIndex(name) === undefined;
  try {
    for (let queue = 0; queue < queues; queue++) {
      const fd = openFile('/dev/net/tun', O_RDWR | O_NONBLOCK, {
        [Errno.ENOENT]: 'This kernel does not support TAP interfaces; try "modprobe tun"',
      });
      fds.push(fd);
      name = attachQueue(fd, name, queues > 1);
      const word = new Int32Array(1);
      const bytes = new Uint8Array(word.buffer);
      word[0] = HEADER_SIZE;
      ioctl(`set the header length of ${name}`, fd, TUNSETVNETHDRSZ, bytes);
      word[0] = 1;
      ioctl(`set the byte order of ${name}`, fd, TUNSETVNETLE, bytes);
    }
    return { name, index: interfaceIndex(name) ?? 0, address: addressOf(name), isMade, fds };
  } catch (error) {
    for (const fd of fds) close(fd);
    throw error;
  }
}

/**
 * Runs a task in the network namespace of an interface that servers created: this one or one with a name.
 * @param task called with its name there
 * @returns undefined if the interface is not found
 */
function inNamespaceOf<Result>(made: MadeTap, task: (name: string) => Result): Result | undefined {
  // No other interface of this namespace gets its index; in other namespaces names and indexes are arbitrary.
  const own = interfaceName(made.index) ?? findByAddress(made);
  if (own !== undefined) return task(own);
  return inNamedNamespaces(() => {
    const name = findByAddress(made);
    return name === undefined ? undefined : task(name);
  });
}

/** Its name in this namespace, found by its address. */
function findByAddress({ name, index, address }: MadeTap): string | undefined {
  if (address === undefined) return undefined;
  return [interfaceName(index), name].find((known) => known !== undefined && addressOf(known) === address);
}

/** Empty if there is no interface of that name. */
function addressOf(name: string): string {
  const address = interfaceAddress(name);
  return address ? formatMac(address) : '';
}

/**
 * Makes an interface that a server created persistent: with its index, addresses, state and bridge. @throws SystemError
 */
export function persistTap({ name, fds, isMade }: TapInterface): void {
  const [fd] = fds;
  if (isMade && fd !== undefined) setPersistent(fd, name, 1);
}

/**
 * Removes an interface that servers created, if it still exists.
 * @throws SystemError: EBUSY if a program has it open
 */
export function removeTap(made: MadeTap, queues: number): void {
  inNamespaceOf(made, (name) => {
    const fd = openFile('/dev/net/tun', O_RDWR | O_NONBLOCK);
    try {
      attachQueue(fd, name, queues > 1);
      setPersistent(fd, name, 0);
    } finally {
      close(fd);
    }
    return true;
  });
}

function setPersistent(fd: number, name: string, value: 0 | 1): void {
  checked(value === 1 ? `keep ${name}` : `remove ${name}`, ioctlNumber(fd, TUNSETPERSIST, value));
}

/** Creates or opens the interface and adds a queue to it. @returns its name */
function attachQueue(fd: number, name: string, multiple: boolean): string {
  const request = new Uint8Array(IFREQ_LENGTH);
  request.set(Buffer.from(name));
  const flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (multiple ? IFF_MULTI_QUEUE : 0);
  new DataView(request.buffer).setUint16(IFNAMSIZ, flags, true);
  ioctl(`create the TAP interface ${name}`.trimEnd(), fd, TUNSETIFF, request);
  return Buffer.from(request.subarray(0, request.indexOf(0))).toString();
}

/** As in the kernel (dev_valid_name), and without name templates. */
function checkInterfaceName(name: string): void {
  const length = Buffer.byteLength(name);
  if (length === 0 || length >= IFNAMSIZ || name === '.' || name === '..' || /[/:%\s\p{Cc}]/u.test(name)) {
    throw new InterfaceNameError(
      `Invalid interface name "${name}": expected at most 15 bytes without blanks, "/", ":" or "%"`,
    );
  }
}
