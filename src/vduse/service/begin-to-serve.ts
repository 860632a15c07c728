import { serveBlockDevice } from '../block-device.js';
import type { FlushNote } from '../flush-note.js';
import { serveNetDevice } from '../net-device.js';
import type { VduseServer } from '../server.js';
import { netBackendOf, storageOf } from './backend-choice.js';
import { factsOf, type ServedFacts } from './device-facts.js';
import type { BlockServed, NetServed, ServedDevice } from './served-device.js';

/** A device that is served. */
export interface ServedServer {
  readonly server: VduseServer;
  readonly facts: ServedFacts;
}

/**
 * Begins to serve a device.
 * @param flushNote what is kept of it from one server to the next; of no use to a network device
 * @throws VduseError, SystemError
 */
export function beginToServe(device: ServedDevice, takeOver: boolean, flushNote: FlushNote): Promise<ServedServer> {
  return device.type === 'block' ? beginBlock(device, takeOver, flushNote) : beginNet(device, takeOver);
}

async function beginBlock(device: BlockServed, takeOver: boolean, flushNote: FlushNote): Promise<ServedServer> {
  const { name, queues, queueSize, blockSize, readonly, serial } = device;
  const server = await serveBlockDevice({
    name,
    storage: storageOf(device, takeOver || device.restart === true),
    takeOver,
    flushNote,
    ...(blockSize !== undefined && { blockSize }),
    ...(readonly !== undefined && { readonly }),
    ...(serial !== undefined && { serial }),
    ...(queues !== undefined && { queues }),
    ...(queueSize !== undefined && { queueSize }),
  });
  return { server, facts: factsOf(device) };
}

async function beginNet(device: NetServed, takeOver: boolean): Promise<ServedServer> {
  const { name, queues, queueSize, mac, mtu } = device;
  const { server, ifname } = await serveNetDevice({
    name,
    backend: netBackendOf(device),
    takeOver,
    ...(queues !== undefined && { pairs: queues }),
    ...(queueSize !== undefined && { queueSize }),
    ...(mac !== undefined && { mac }),
    ...(mtu !== undefined && { mtu }),
  });
  return { server, facts: { ...factsOf(device), ...(ifname !== undefined && { ifname }) } };
}
