/** The servers of VDUSE devices in the state of a machine: what a file says of one, and what is to be done for it. */
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

/** The management device of VDUSE devices. */
export const VDUSE = 'vduse';

/** What a server is told, word by word: the keys of a server in a file. */
export type ServerKey = keyof ServerArguments;

/** A server as a file wants it. */
export interface DesiredServer {
  readonly device: ServedDeviceSpec;
  /** Only what the file says: what it does not say may be as it likes. */
  readonly words: ServerArguments;
}

/** What differs between two servers, as people write it. */
export interface ServerDifference {
  readonly key: ServerKey | 'server';
  readonly from: string;
  readonly to: string;
}

/**
 * Makes a server of what a file says of it.
 * @throws VduseError where no server can be so
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
  // A path means a file, were the word left out.
  const { path, ifname } = words;
  const backend = path === undefined ? (ifname === undefined ? undefined : 'tap') : 'file';
  return { device, words: backend === undefined ? words : { backend, ...words } };
}

/** The arguments with which a server of ours serves the same again. */
export function serverArgumentsOf({ device }: OwnStatus): ServerArguments {
  return serverPart(device);
}

/** The file and the interface that a server has for itself alone, as far as they are known. */
export function exclusiveResources(server: { readonly path?: string; readonly ifname?: string }): string[] {
  return [server.path, server.ifname].filter((name) => name !== undefined);
}

/** What of a server is not as a file wants it. */
export function compareServer({ words }: DesiredServer, status: OwnStatus): ServerDifference[] {
  // A file that grows has a size too.
  const { size } = 'size' in status ? status : {};
  const actual: ServerArguments = { ...(size !== undefined && { size }), ...serverArgumentsOf(status) };
  return (Object.keys(words) as ServerKey[]).flatMap((key) => {
    const [from, to] = [actual[key], words[key]];
    return to === undefined || to === from ? [] : [{ key, from: from?.toString() ?? '(none)', to: to.toString() }];
  });
}

/** How a device that is not there yet comes to have a server. */
export type ServerStart =
  /** It has one. */
  | { readonly how: 'there' }
  /** One is started; what is left of a dead one is taken away first. */
  | { readonly how: 'start'; readonly device: ServedDeviceSpec; readonly stale: boolean };

/**
 * Says how a VDUSE device that is not on the bus gets its server.
 * @throws VduseError where it cannot have the one that the file wants
 */
export function serverStartFor(
  name: string,
  wanted: DesiredServer | undefined,
  instance: VduseInstance | undefined,
): ServerStart {
  if (!instance || instance.served === 'nobody') {
    if (wanted) return { how: 'start', device: wanted.device, stale: instance?.served === 'nobody' };
    throw new VduseError(
      `no program serves ${name}: start its server first; or say "server" for one of vdpa's own, {} for a disk in memory`,
    );
  }
  if (!wanted) return { how: 'there' };
  const status = ownStatus(instance);
  if (!status) throw new VduseError(instance.served === 'silent' ? isSilent(instance) : servedElsewhere(name));
  const [difference] = compareServer(wanted, status);
  if (!difference) return { how: 'there' };
  const { key, from, to } = difference;
  throw new VduseError(
    `${name} is served already, and not attached, with ${key} ${from}, not ${to}: "vdpa vduse del ${name}" ends that server`,
  );
}

/** What is to be done about the server of a device that is on the bus. */
export interface ServerChange {
  readonly differences: readonly ServerDifference[];
  /** Another server can go on with the device; otherwise what differs takes a new device. */
  readonly takeOver?: ServedDeviceSpec;
}

/** @throws VduseError where the file wants a server of ours and the device has another */
export function serverChangeFor(name: string, wanted: DesiredServer, instance: VduseInstance): ServerChange {
  switch (instance.served) {
    case 'here':
    case 'starting':
      return { differences: compareServer(wanted, instance.status) };
    case 'silent':
      throw new VduseError(isSilent(instance));
    case 'elsewhere':
      throw new VduseError(servedElsewhere(name));
    case 'nobody': {
      const differences = [{ key: 'server', from: '(none)', to: 'vdpa' }] as const;
      try {
        checkDeviceSpec({ ...wanted.device, restart: true });
      } catch (error) {
        // What was in memory is gone.
        if (error instanceof DeviceOptionError) return { differences };
        throw error;
      }
      return { differences, takeOver: wanted.device };
    }
  }
}

const isSilent = ({ name, pid, state }: Extract<VduseInstance, { served: 'silent' }>): string =>
  `the server of ${name} (process ${pid}) is ${state} and does not answer`;

const servedElsewhere = (name: string): string =>
  `another program serves ${name}: end it, or leave "server" out, and the device is left as that program serves it`;
