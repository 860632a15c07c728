/** Data of a network interface for ethtool(8): include/uapi/linux/ethtool.h. */
import { MissingKoffiError } from './error.js';
import { loadKoffi } from './load-koffi.js';

const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SIOCETHTOOL = 0x8946;
const ETHTOOL_GDRVINFO = 3;

/** struct ethtool_drvinfo: its length, and the offset of the text `bus_info`. */
const DRVINFO_LENGTH = 196;
const BUS_INFO = 4 + 32 + 32 + 32;
/** Maximum length of a name in `bus_info`, in bytes; the rest is truncated. */
export const BUS_INFO_MAX = 31;

/** struct ifreq, with an address in its union. */
interface InterfaceRequest {
  readonly name: string;
  readonly data: Uint8Array;
  readonly rest: readonly number[];
}

type BusInfo = (netdev: string) => Uint8Array | undefined;

let call: BusInfo | undefined;

/**
 * The parent of an interface of this network namespace, as named by its driver; undefined if there is no such
 * interface, its driver does not report it, or this process has no way to ask. The C library is loaded on first use.
 */
export function readBusInfo(netdev: string): Uint8Array | undefined {
  call ??= declare();
  return call(netdev);
}

function declare(): BusInfo {
  let koffi: ReturnType<typeof loadKoffi>;
  try {
    koffi = loadKoffi();
  } catch (error) {
    if (error instanceof MissingKoffiError) return () => undefined;
    throw error;
  }
  const libc = koffi.load(null);
  koffi.struct('vdpa_ifreq', { name: koffi.array('char', 16), data: 'void *', rest: koffi.array('uint8_t', 16) });
  const socket: (domain: number, type: number, protocol: number) => number = libc.func(
    'int socket(int domain, int type, int protocol)',
  );
  const ioctl: (fd: number, request: number, argument: InterfaceRequest) => number = libc.func(
    'int ioctl(int fd, unsigned long request, vdpa_ifreq *argument)',
  );
  const close: (fd: number) => number = libc.func('int close(int fd)');
  return (name) => {
    const data = new Uint8Array(DRVINFO_LENGTH);
    new Uint32Array(data.buffer)[0] = ETHTOOL_GDRVINFO;
    const fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return undefined;
    const result = ioctl(fd, SIOCETHTOOL, { name, data, rest: new Array<number>(16).fill(0) });
    close(fd);
    const text = data.subarray(BUS_INFO, BUS_INFO + BUS_INFO_MAX);
    const end = text.indexOf(0);
    return result < 0 || end === 0 ? undefined : text.slice(0, end < 0 ? undefined : end);
  };
}
