import { serveBlockDevice, type BlockDeviceOptions } from '../block/device.js';
import type { FileAccessModes } from '../block/file-access.js';
import type { NbdConnections } from '../block/nbd/connections.js';
import type { FlushRecord } from '../block/flush-record.js';
import type { InflightFile } from '../engine/inflight-file.js';
import type { InstanceRecord } from '../spec/instance-record.js';
import { serveNetDevice } from '../net/device.js';
import type { VduseServer } from '../server.js';
import { blockBackendFor, netBackendFor } from '../spec/backend.js';
import { parseCpus } from '../spec/processors.js';
import { resolveSpec } from '../spec/resolve.js';
import type { BlockDeviceSpec, NetDeviceSpec, ServedDeviceSpec } from '../spec/device-spec.js';

/** A device that is served. */
export interface RunningDevice {
  readonly server: VduseServer;
  /** With its defaults, and the interface chosen by the kernel. */
  readonly device: ServedDeviceSpec;
  readonly access?: FileAccessModes;
  /** To the NBD server that stores it. */
  readonly connections?: NbdConnections;
  /** A human-readable warning from the start. */
  readonly warning?: string;
}

/** The records of an instance, from one server to the next. */
export interface InstanceState {
  /** The instance exists: another server served it before. */
  readonly takeOver: boolean;
  /** Only for a block device. */
  readonly flushRecord: FlushRecord;
  /** For a block device, or packed queues: a network device completes its requests in order. */
  readonly inflight: InflightFile;
  readonly record: InstanceRecord;
}

/** Starts to serve a device. @throws VduseError, SystemError */
export function startServer(device: ServedDeviceSpec, state: InstanceState): Promise<RunningDevice> {
  return device.type === 'block' ? startBlock(device, state) : startNet(device, state);
}

async function startBlock(device: BlockDeviceSpec, state: InstanceState): Promise<RunningDevice> {
  const { name, queues, queueSize, packed, blockSize, readonly, serial } = device;
  const { takeOver, flushRecord, inflight, record } = state;
  const { server, access, connections, ...storage } = await serveBlockDevice({
    name,
    backend: blockBackendFor(device, takeOver || device.restart === true),
    takeOver,
    flushRecord,
    inflight,
    record,
    ...(blockSize !== undefined && { blockSize }),
    ...(readonly !== undefined && { readonly }),
    ...(serial !== undefined && { serial }),
    ...(queues !== undefined && { queues }),
    ...(queueSize !== undefined && { queueSize }),
    ...(packed !== undefined && { packed }),
    ...threadOptions(device),
  });
  return {
    server,
    device: resolveSpec({ ...device, ...storage }),
    ...(access && { access }),
    ...(connections && { connections }),
  };
}

function threadOptions({ threads, cpus }: ServedDeviceSpec): Pick<BlockDeviceOptions, 'threads' | 'cpus'> {
  return { ...(threads !== undefined && { threads }), ...(cpus !== undefined && { cpus: parseCpus(cpus) }) };
}

async function startNet(device: NetDeviceSpec, { takeOver, inflight, record }: InstanceState): Promise<RunningDevice> {
  const { name, queues, queueSize, packed, mac, mtu } = device;
  const { server, ifname, lostTap } = await serveNetDevice({
    name,
    backend: netBackendFor(device),
    takeOver,
    record,
    ...(packed === true && { inflight }),
    ...(queues !== undefined && { queues }),
    ...(queueSize !== undefined && { queueSize }),
    ...(packed !== undefined && { packed }),
    ...(mac !== undefined && { mac }),
    ...(mtu !== undefined && { mtu }),
    ...threadOptions(device),
  });
  return {
    server,
    device: resolveSpec({ ...device, ...(ifname !== undefined && { ifname }) }),
    ...(lostTap !== undefined && {
      warning: `the TAP interface ${lostTap} of the previous server was deleted, or moved to an unnamed network namespace: created another one`,
    }),
  };
}
