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
  readonly words: ServerArguments;
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
export function readDesiredServer(entry: DeviceEntry, server: ServerEntry, mac: Uint8Array | undefined): DesiredServer {
  const { name, type, mtu } = entry;
  const read = readServerEntry(server);
  const words = read.path === undefined ? read : { ...read, path: resolve(read.path) };
  const common = { ...words, ...(type !== undefined && { type }) };
  const device = toDeviceSpec(checkDeviceName(name), {
    ...common,
    ...(mac && { mac }),
    ...(mtu !== undefined && { mtu }),
  });
  checkDeviceSpec(device);
  // A path implies the backend file if that is omitted.
  const { path, ifname } = words;
  const backend = path === undefined ? (ifname === undefined ? undefined : 'tap') : 'file';
  return { device, words: backend === undefined ? words : { backend, ...words } };
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
export function compareServer({ words }: DesiredServer, status: OwnStatus): ServerDifference[] {
  // A device that grows with its file also has a size.
  const { size } = 'size' in status ? status : {};
  const actual: ServerArguments = { ...(size !== undefined && { size }), ...serverArgumentsOf(status) };
  return (Object.keys(words) as ServerKey[]).flatMap((key) => {
    const [from, to] = [actual[key], words[key]];
    return to === undefined || to === from ? [] : [{ key, from: from?.toString() ?? '(none)', to: to.toString() }];
  });
}

/** How a device that does not exist yet gets a server. */
export type ServerStart =
  /** It has one. */
  | { readonly how: 'there' }
  /** A server is started; the remains of a dead one are removed first. */
  | { readonly how: 'start'; readonly device: ServedDeviceSpec; readonly stale: boolean };

/**
 * Determines how a VDUSE device that is not on the bus gets its server.
 * @throws VduseError if the desired server is not possible
 */
export function serverStartFor(
  name: string,
  wanted: DesiredServer | undefined,
  instance: VduseInstance | undefined,
): ServerStart {
  if (!instance || instance.server === 'none') {
    if (wanted) return { how: 'start', device: wanted.device, stale: instance?.server === 'none' };
    throw new VduseError(
      `no program serves ${name}: start its server first; or say "server" for one of vdpa's own, {} for a disk in memory`,
    );
  }
  if (!wanted) return { how: 'there' };
  const status = ownStatus(instance);
  if (!status) throw new VduseError(instance.server === 'unresponsive' ? isSilent(instance) : servedElsewhere(name));
  const [difference] = compareServer(wanted, status);
  if (!difference) return { how: 'there' };
  const { key, from, to } = difference;
  throw new VduseError(
    `${name} is served already, and not attached, with ${key} ${from}, not ${to}: "vdpa vduse del ${name}" ends that server`,
  );
}

/** Determines the action for the server of a device on the bus. */
export interface ServerChange {
  readonly differences: readonly ServerDifference[];
  /** Another server can take over the device; other differences require a new device. */
  readonly takeOver?: ServedDeviceSpec;
}

/** @throws VduseError if the file specifies a server of vdpa and the device has another one */
export function serverChangeFor(name: string, wanted: DesiredServer, instance: VduseInstance): ServerChange {
  switch (instance.server) {
    case 'vdpa':
    case 'starting':
      return { differences: compareServer(wanted, instance.status) };
    case 'unresponsive':
      throw new VduseError(isSilent(instance));
    case 'other':
      throw new VduseError(servedElsewhere(name));
    case 'none': {
      const differences = [{ key: 'server', from: '(none)', to: 'vdpa' }] as const;
      try {
        checkDeviceSpec({ ...wanted.device, restart: true });
      } catch (error) {
        // Data in memory is lost.
        if (error instanceof DeviceOptionError) return { differences };
        throw error;
      }
      return { differences, takeOver: wanted.device };
    }
  }
}

const isSilent = ({ name, pid, state }: Extract<VduseInstance, { server: 'unresponsive' }>): string =>
  `the server of ${name} (process ${pid}) is ${state} and does not answer`;

const servedElsewhere = (name: string): string =>
  `another program serves ${name}: end it, or leave "server" out, and the device is left as that program serves it`;
