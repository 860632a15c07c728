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

/** A name that no interface can have. */
export class InterfaceNameError extends VduseError {
  override readonly name = 'InterfaceNameError';
}

/**
 * A tap interface, opened. It is made where there is none of the name, and goes when it is closed unless it is to last
 * ({@link persistTap}); one that was there stays.
 */
export interface TapInterface {
  readonly name: string;
  /** In the network namespace that it was made in. */
  readonly index: number;
  /** Its own hardware address, as text. */
  readonly address: string;
  /** This server has made it, or one before it of the same instance. */
  readonly isMade: boolean;
  /** What has become of the one that the last server had made. */
  readonly former: 'none' | 'found' | 'lost';
  /** One for each queue. They do not block. */
  readonly fds: readonly number[];
}

/**
 * Opens a tap interface whose packets have virtio's header before them. One that servers of the instance have made is looked
 * for in the named network namespaces too: it may have been moved to one.
 * @param wanted its name; undefined to let the kernel choose
 * @param made the interface that the last server of the instance had made: it may have another name now
 * @throws InterfaceNameError, SystemError
 */
export function openTap(wanted: string | undefined, queues: number, made?: MadeTap): TapInterface {
  if (wanted !== undefined) checkInterfaceName(wanted);
  if (!made || (wanted !== undefined && wanted !== made.name)) {
    return { ...openNamed(wanted ?? '', queues), former: 'none' };
  }
  const { index } = made;
  const found = whereItIs(made, (name): TapInterface => {
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
        [Errno.ENOENT]: 'This kernel has no tap interfaces; load its module (modprobe tun)',
      });
      fds.push(fd);
      name = attach(fd, name, queues > 1);
      const word = new Int32Array(1);
      const bytes = new Uint8Array(word.buffer);
      word[0] = HEADER_SIZE;
      ioctl(`set the header of ${name}`, fd, TUNSETVNETHDRSZ, bytes);
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
 * Does something where an interface is that servers have made: in this network namespace or in one that has a name.
 * @param task is given its name there
 * @returns undefined where it is nowhere
 */
function whereItIs<Result>(made: MadeTap, task: (name: string) => Result): Result | undefined {
  // No other interface of the namespace gets its number; in others names and numbers are as they like.
  const own = interfaceName(made.index) ?? knownAgain(made);
  if (own !== undefined) return task(own);
  return inNamedNamespaces(() => {
    const name = knownAgain(made);
    return name === undefined ? undefined : task(name);
  });
}

/** The name that it has in this namespace, by its address. */
function knownAgain({ name, index, address }: MadeTap): string | undefined {
  if (address === undefined) return undefined;
  return [interfaceName(index), name].find((known) => known !== undefined && addressOf(known) === address);
}

/** Empty where there is no interface of that name. */
function addressOf(name: string): string {
  const address = interfaceAddress(name);
  return address ? formatMac(address) : '';
}

/** Lets an interface that a server has made outlive it: with its index, addresses, state and bridge. @throws SystemError */
export function persistTap({ name, fds, isMade }: TapInterface): void {
  const [fd] = fds;
  if (isMade && fd !== undefined) setPersistent(fd, name, 1);
}

/**
 * Takes away an interface that servers have made, if it is still there.
 * @throws SystemError: EBUSY where a program has it open
 */
export function removeTap(made: MadeTap, queues: number): void {
  whereItIs(made, (name) => {
    const fd = openFile('/dev/net/tun', O_RDWR | O_NONBLOCK);
    try {
      attach(fd, name, queues > 1);
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

/** Makes or finds the interface and adds a queue to it. @returns its name */
function attach(fd: number, name: string, multiple: boolean): string {
  const request = new Uint8Array(IFREQ_LENGTH);
  request.set(Buffer.from(name));
  const flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (multiple ? IFF_MULTI_QUEUE : 0);
  new DataView(request.buffer).setUint16(IFNAMSIZ, flags, true);
  ioctl(`make the tap interface ${name}`.trimEnd(), fd, TUNSETIFF, request);
  return Buffer.from(request.subarray(0, request.indexOf(0))).toString();
}

/** As the kernel checks it (dev_valid_name), and without its templates. */
function checkInterfaceName(name: string): void {
  const length = Buffer.byteLength(name);
  if (length === 0 || length >= IFNAMSIZ || name === '.' || name === '..' || /[/:%\s\p{Cc}]/u.test(name)) {
    throw new InterfaceNameError(`"${name}" cannot be the name of an interface: at most 15 bytes, no blank, no / : %`);
  }
}
