/** Servers of VDUSE devices in the state of a machine: their specification in a file, and the necessary actions. */
import { checkDeviceName } from '../../vduse/kernel/name.js';
import { DeviceOptionError } from '../../vduse/spec/error.js';
import { VduseError } from '../../vduse/error.js';
import { checkDeviceSpec } from '../../vduse/spec/resolve.js';
import {
  readServerEntry,
  serverPart,
  toDeviceSpec,
  type ServerArguments,
  type ServerEntry,
} from '../../vduse/spec/arguments.js';
import type { ServedDeviceSpec } from '../../vduse/spec/device-spec.js';
import { ownStatus, type OwnStatus, type VduseInstance } from '../../vduse/daemon/servers.js';
import { resolve } from 'node:path';
import type { DeviceEntry } from './file.js';

/** The management device of VDUSE. */
export const VDUSE = 'vduse';

/** The arguments of a server: the keys of a server in a file. */
export type ServerKey = keyof ServerArguments;

/** The desired state of a server. */
export interface DesiredServer {
  readonly device: ServedDeviceSpec;
  /** Only what the file specifies: other properties may have any value. */
  readonly specified: ServerArguments;
}

/** The differences between two servers, in the notation of the command line. */
export interface ServerDifference {
  readonly key: ServerKey | 'server';
  readonly from: string;
  readonly to: string;
}

/**
 * Converts the specification of a server in a file.
 * @throws VduseError if it is invalid
 */
export function readDesiredServer(entry: DeviceEntry, server: ServerEntry, mac: string | undefined): DesiredServer {
  const { name, type, mtu } = entry;
  const read = readServerEntry(server);
  const specified = read.path === undefined ? read : { ...read, path: resolve(read.path) };
  const common = { ...specified, ...(type !== undefined && { type }) };
  const device = toDeviceSpec(checkDeviceName(name), {
    ...common,
    ...(mac && { mac }),
    ...(mtu !== undefined && { mtu }),
  });
  checkDeviceSpec(device);
  // A path implies the backend file if that is omitted.
  const { path, ifname } = specified;
  const backend = path === undefined ? (ifname === undefined ? undefined : 'tap') : 'file';
  return { device, specified: backend === undefined ? specified : { backend, ...specified } };
}

/** The arguments with which a server of vdpa serves the same device again. */
export function serverArgumentsOf({ device }: OwnStatus): ServerArguments {
  return serverPart(device);
}

/** The file and the interface that a server uses exclusively, as far as they are known. */
export function exclusiveResources(server: { readonly path?: string; readonly ifname?: string }): string[] {
  return [server.path, server.ifname].filter((name) => name !== undefined);
}

/** The differences of a server from its desired state. */
function compareServer({ specified }: DesiredServer, status: OwnStatus): ServerDifference[] {
  // A device that grows with its file also has a size.
  const { size } = 'size' in status ? status : {};
  const actual: ServerArguments = { ...(size !== undefined && { size }), ...serverArgumentsOf(status) };
  return keysOf(specified).flatMap((key) => {
    const [from, to] = [actual[key], specified[key]];
    return to === undefined || to === from ? [] : [{ key, from: from?.toString() ?? '(none)', to: to.toString() }];
  });
}

function keysOf<T extends object>(object: T): Extract<keyof T, string>[] {
  const keys: Extract<keyof T, string>[] = [];
  for (const key in object) keys.push(key);
  return keys;
}

/** How a device that does not exist yet gets a server. */
export type ServerStart =
  /** It has one. */
  | { readonly how: 'running' }
  /** A server is started; the remains of a dead one are removed first. */
  | { readonly how: 'start'; readonly device: ServedDeviceSpec; readonly stale: boolean };

/**
 * Determines how a VDUSE device that is not on the bus gets its server.
 * @throws VduseError if the desired server is not possible
 */
export function serverStartFor(
  name: string,
  desired: DesiredServer | undefined,
  instance: VduseInstance | undefined,
): ServerStart {
  if (!instance || instance.server === 'none') {
    if (desired) return { how: 'start', device: desired.device, stale: instance?.server === 'none' };
    throw new VduseError(
      `${name} has no server: start one first, or add "server" for one of vdpa's own ({} is a disk in memory)`,
    );
  }
  if (!desired) return { how: 'running' };
  const status = ownStatus(instance);
  if (!status)
    throw new VduseError(instance.server === 'unresponsive' ? unresponsiveMessage(instance) : otherServerMessage(name));
  const [difference] = compareServer(desired, status);
  if (!difference) return { how: 'running' };
  const { key, from, to } = difference;
  throw new VduseError(
    `${name} is already served, but not attached, with ${key} ${from}, not ${to}: run "vdpa vduse del ${name}" first`,
  );
}

/** Determines the action for the server of a device on the bus. */
export interface ServerChange {
  readonly differences: readonly ServerDifference[];
  /** Another server can take over the device; other differences require a new device. */
  readonly takeOver?: ServedDeviceSpec;
}

/** @throws VduseError if the file specifies a server of vdpa and the device has another one */
export function serverChangeFor(name: string, desired: DesiredServer, instance: VduseInstance): ServerChange {
  switch (instance.server) {
    case 'vdpa':
    case 'starting':
      return { differences: compareServer(desired, instance.status) };
    case 'unresponsive':
      throw new VduseError(unresponsiveMessage(instance));
    case 'other':
      throw new VduseError(otherServerMessage(name));
    case 'none': {
      const differences = [{ key: 'server', from: '(none)', to: 'vdpa' }] as const;
      try {
        checkDeviceSpec({ ...desired.device, restart: true });
      } catch (error) {
        // Data in memory is lost.
        if (error instanceof DeviceOptionError) return { differences };
        throw error;
      }
      return { differences, takeOver: desired.device };
    }
  }
}

const unresponsiveMessage = ({ name, pid, state }: Extract<VduseInstance, { server: 'unresponsive' }>): string =>
  `the server of ${name} (process ${pid}) is ${state} and does not respond`;

const otherServerMessage = (name: string): string =>
  `${name} is served by another program: stop it, or omit "server" to keep it`;
