import { serveBlockDevice } from '../block-device.js';
import { DEFAULT_SIZE, type StorageOptions } from '../block-storage.js';
import { DeviceOptionError } from '../device-option-error.js';
import { serveNetDevice } from '../net-device.js';
import type { VduseServer } from '../server.js';

/** A device that a server program of ours serves, as it is asked for on the command line. */
export type ServedDevice = BlockServed | NetServed;

interface Served {
  readonly name: string;
  /** How many queues; of a network device how many pairs. */
  readonly queues?: number;
  readonly queueSize?: number;
  /** Who its server becomes, once the device is open. */
  readonly user?: string;
  /** Another server takes the place of one that ends by itself. */
  readonly restart?: boolean;
}

export interface BlockServed extends Served {
  readonly type: 'block';
  /** A file where there is a path, memory otherwise. */
  readonly backend?: 'ram' | 'file' | 'null';
  readonly path?: string;
  /** Bytes. */
  readonly size?: number;
  readonly blockSize?: 512 | 4096;
  readonly readonly?: boolean;
  readonly serial?: string;
}

export interface NetServed extends Served {
  readonly type: 'net';
  /** A tap where it has a name, loopback otherwise. */
  readonly backend?: 'loopback' | 'tap';
  readonly ifname?: string;
  readonly mac?: Uint8Array;
  readonly mtu?: number;
}

/** What a server tells of its device besides what happens to it. */
export interface ServedFacts {
  readonly type: 'block' | 'net';
  readonly backend: string;
  readonly path?: string;
  readonly size?: number;
  readonly blockSize?: number;
  readonly readonly?: boolean;
  readonly ifname?: string;
  readonly mac?: string;
  readonly mtu?: number;
}

/** A device that is served. */
export interface ServedServer {
  readonly server: VduseServer;
  readonly facts: ServedFacts;
}

/** Begins to serve a device. @throws VduseError, SystemError */
export function beginToServe(device: ServedDevice, takeOver: boolean): Promise<ServedServer> {
  return device.type === 'block' ? beginBlock(device, takeOver) : beginNet(device, takeOver);
}

async function beginBlock(device: BlockServed, takeOver: boolean): Promise<ServedServer> {
  const { name, queues, queueSize, blockSize = 512, readonly = false, serial } = device;
  const storage = storageOf(device);
  if (storage.backend === 'ram' && (takeOver || device.restart === true)) {
    throw new DeviceOptionError(
      `${name} is in memory, which ends with its server: such a device cannot get another one; it can be in a file`,
    );
  }
  const server = await serveBlockDevice({
    name,
    storage,
    blockSize,
    readonly,
    takeOver,
    ...(serial !== undefined && { serial }),
    ...(queues !== undefined && { queues }),
    ...(queueSize !== undefined && { queueSize }),
  });
  const path = storage.backend === 'file' ? { path: storage.path } : {};
  return { server, facts: { type: 'block', backend: storage.backend, ...path, blockSize, readonly } };
}

function storageOf({ backend, path, size }: BlockServed): StorageOptions {
  const chosen = backend ?? (path === undefined ? 'ram' : 'file');
  if (chosen === 'file') {
    if (path === undefined) throw new DeviceOptionError('A device in a file needs the path of the file');
    return { backend: 'file', path, ...(size !== undefined && { size }) };
  }
  if (path !== undefined) throw new DeviceOptionError(`A path is of no use to a device whose backend is ${chosen}`);
  return { backend: chosen, size: size ?? DEFAULT_SIZE };
}

async function beginNet(device: NetServed, takeOver: boolean): Promise<ServedServer> {
  const { name, queues, queueSize, mac, mtu, ifname } = device;
  const type = device.backend ?? (ifname === undefined ? 'loopback' : 'tap');
  if (type === 'loopback' && ifname !== undefined) {
    throw new DeviceOptionError('The name of an interface is of no use to a device whose backend is loopback');
  }
  const net = await serveNetDevice({
    name,
    backend: type === 'tap' ? { type, ...(ifname !== undefined && { ifname }) } : { type },
    takeOver,
    ...(queues !== undefined && { pairs: queues }),
    ...(queueSize !== undefined && { queueSize }),
    ...(mac !== undefined && { mac }),
    ...(mtu !== undefined && { mtu }),
  });
  return {
    server: net.server,
    facts: {
      type: 'net',
      backend: type,
      mac: Buffer.from(net.mac)
        .toString('hex')
        .replace(/..(?=.)/g, '$&:'),
      ...(net.ifname !== undefined && { ifname: net.ifname }),
      ...(mtu !== undefined && { mtu }),
    },
  };
}
