import { formatMac } from '../../virtio/mac-address.js';
import { serveBlockDevice } from '../block-device.js';
import { serveNetDevice } from '../net-device.js';
import type { VduseServer } from '../server.js';
import { netBackendOf, storageOf } from './backend-choice.js';

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
  const storage = storageOf(device, takeOver || device.restart === true);
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

async function beginNet(device: NetServed, takeOver: boolean): Promise<ServedServer> {
  const { name, queues, queueSize, mac, mtu } = device;
  const backend = netBackendOf(device);
  const net = await serveNetDevice({
    name,
    backend,
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
      backend: backend.type,
      mac: formatMac(net.mac),
      ...(net.ifname !== undefined && { ifname: net.ifname }),
      ...(mtu !== undefined && { mtu }),
    },
  };
}
