import { serveBlockDevice } from '../block-device.js';
import type { FlushNote } from '../flush-note.js';
import type { InstanceRecord } from '../instance-record.js';
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

/** What is kept of an instance from one server to the next. */
export interface KeptOfInstance {
  /** The instance is there: another server has had it. */
  readonly takeOver: boolean;
  /** Of no use to a network device. */
  readonly flushNote: FlushNote;
  readonly record: InstanceRecord;
}

/** Begins to serve a device. @throws VduseError, SystemError */
export function beginToServe(device: ServedDevice, kept: KeptOfInstance): Promise<ServedServer> {
  return device.type === 'block' ? beginBlock(device, kept) : beginNet(device, kept);
}

async function beginBlock(device: BlockServed, kept: KeptOfInstance): Promise<ServedServer> {
  const { name, queues, queueSize, blockSize, readonly, serial } = device;
  const server = await serveBlockDevice({
    name,
    storage: storageOf(device, kept.takeOver || device.restart === true),
    ...kept,
    ...(blockSize !== undefined && { blockSize }),
    ...(readonly !== undefined && { readonly }),
    ...(serial !== undefined && { serial }),
    ...(queues !== undefined && { queues }),
    ...(queueSize !== undefined && { queueSize }),
  });
  return { server, facts: factsOf(device) };
}

async function beginNet(device: NetServed, { takeOver, record }: KeptOfInstance): Promise<ServedServer> {
  const { name, queues, queueSize, mac, mtu } = device;
  const { server, ifname } = await serveNetDevice({
    name,
    backend: netBackendOf(device),
    takeOver,
    record,
    ...(queues !== undefined && { pairs: queues }),
    ...(queueSize !== undefined && { queueSize }),
    ...(mac !== undefined && { mac }),
    ...(mtu !== undefined && { mtu }),
  });
  return { server, facts: { ...factsOf(device), ...(ifname !== undefined && { ifname }) } };
}
