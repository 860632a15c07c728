/** What is known of a served device by what it was asked to be. Touches nothing of the machine. */
import { formatMac } from '../../virtio/mac-address.js';
import {
  checkBlockOptions,
  checkNetOptions,
  checkSize,
  DEFAULT_BLOCK_SIZE,
  DEFAULT_QUEUE_SIZE,
  DEFAULT_SIZE,
  defaultSerial,
} from '../device-options.js';
import { macFor } from '../net-identity.js';
import { netBackendOf, storageOf } from './backend-choice.js';
import type { BackendName, ServerWords } from './device-words.js';
import type { ServedDevice } from './served-device.js';

/** What a server tells of its device besides what happens to it. */
export interface ServedFacts {
  readonly type: 'block' | 'net';
  readonly backend: BackendName;
  readonly path?: string;
  /** Bytes that it has now. */
  readonly size?: number;
  /** Bytes that it was asked to have, and will always have; absent where it grows as its file does. */
  readonly fixedSize?: number;
  readonly blockSize?: number;
  readonly readonly?: boolean;
  readonly serial?: string;
  readonly ifname?: string;
  readonly mac?: string;
  readonly mtu?: number;
  readonly user?: string;
  readonly restart: boolean;
}

/** What is known of a device before it is served. @throws DeviceOptionError where its words do not go together */
export function factsOf(device: ServedDevice): ServedFacts {
  const { user, restart = false } = device;
  const common = { restart, ...(user !== undefined && { user }) };
  if (device.type === 'net') {
    const { name, mac = macFor(name), mtu } = device;
    const { type: backend, ...tap } = netBackendOf(device);
    return { type: 'net', backend, mac: formatMac(mac), ...tap, ...(mtu !== undefined && { mtu }), ...common };
  }
  const { name, blockSize = DEFAULT_BLOCK_SIZE, readonly = false, serial = defaultSerial(name) } = device;
  const { backend, size, ...file } = storageOf(device, false);
  return { type: 'block', backend, ...file, ...fixed(size), blockSize, readonly, serial, ...common };
}

const fixed = (size: number | undefined): Partial<ServedFacts> => (size === undefined ? {} : { size, fixedSize: size });

/** What a server is to be told so that it serves the same again; its type, address and MTU are the device's. */
export function toServerWords(facts: ServedFacts, queues: number, queueSize: number): ServerWords {
  const { backend, path, fixedSize, blockSize, readonly, serial, ifname, user, restart } = facts;
  return {
    backend,
    ...(path !== undefined && { path }),
    ...(fixedSize !== undefined && { size: fixedSize }),
    ...((blockSize === 512 || blockSize === 4096) && { block_size: blockSize }),
    ...(readonly !== undefined && { readonly }),
    ...(serial !== undefined && { serial }),
    ...(ifname !== undefined && { ifname }),
    queues,
    queue_size: queueSize,
    ...(user !== undefined && { user }),
    restart,
  };
}

/**
 * Whether a server would take it, as far as that can be told without the machine.
 * @throws DeviceOptionError
 */
export function checkServedDevice(device: ServedDevice): void {
  const { queues = 1, queueSize = DEFAULT_QUEUE_SIZE } = device;
  if (device.type === 'block') {
    checkBlockOptions({ queues, queueSize, serial: device.serial ?? '' });
    checkSize(storageOf(device, device.restart === true).size ?? DEFAULT_SIZE, device.blockSize ?? DEFAULT_BLOCK_SIZE);
  } else {
    netBackendOf(device);
    checkNetOptions({ pairs: queues, queueSize, mac: device.mac ?? macFor(device.name), mtu: device.mtu });
  }
}
