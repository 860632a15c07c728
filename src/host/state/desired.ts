/** Parses the desired state of a machine's devices from a file; errors have line and path. */
import { check } from '../../generated/state.js';
import { driverName, VHOST_VDPA } from '../../sysfs/bus.js';
import { normalizeMac } from '../../virtio/mac-address.js';
import { VduseError } from '../../vduse/error.js';
import type { DeviceEntry, StateFile } from './file.js';
import { JsonSyntaxError, parseJson, shortened, type JsonSource } from './json-source.js';
import type { NodeEntry } from './node.js';
import { readDesiredServer, VDUSE, type DesiredServer } from './servers.js';

/** The desired state of a device in a file. Absent properties may have any value. */
export interface DesiredDevice {
  readonly name: string;
  /** The handle of its management device. */
  readonly managementDevice: string;
  readonly type?: 'net' | 'block';
  /** As `formatMac` writes it. */
  readonly mac?: string;
  readonly mtu?: number;
  readonly maxVirtqueuePairs?: number;
  /** Names of features; their bits depend on the class of the device. */
  readonly features?: readonly string[];
  /** For a VDUSE device: the server that vdpa should run; absent if another program serves it. */
  readonly server?: DesiredServer;
  /** The driver's name in sysfs; null for none. */
  readonly driver?: string | null;
  /** With vhost_vdpa: permissions of its node. */
  readonly node?: NodeEntry;
}

/** The content of a file. */
export interface DesiredState {
  readonly devices: readonly DesiredDevice[];
  /** The position of a device in the file, for errors: `FILE: line 3 (/devices/0)`. */
  place(device: DesiredDevice, key?: string): string;
}

/** Names of files and devices are not longer than this: NAME_MAX is 255. */
const endless = /[^\s/"]{256,}/g;

/** A state file is invalid. The message names the file, the line and the path in it; a long word is truncated. */
export class StateFileError extends Error {
  override readonly name: string = 'StateFileError';

  constructor(message: string, options?: ErrorOptions) {
    super(message.replace(endless, shortened), options);
  }
}

/** A machine's devices cannot be made to match a file. The message has all reasons, one per line. */
export class PlanError extends StateFileError {
  override readonly name = 'PlanError';
  readonly reasons: readonly Error[];

  constructor(reasons: readonly Error[]) {
    super(reasons.map(({ message }) => message).join('\n'));
    this.reasons = reasons;
  }
}

/**
 * Parses the text of a file.
 *
 * Command line: Part of `vdpa apply FILE`.
 * @param file the name of the file, for errors
 * @throws StateFileError
 */
export function readDesiredState(text: string, file: string): DesiredState {
  const source = parse(text, file);
  const place = (path: string): string => `${file}: line ${source.lineOf(path)} (${path === '' ? '/' : path})`;
  const content: unknown = source.value;
  if (!isStateFile(content)) {
    const problem = check(content) ?? '';
    // The checker's message starts with the path, or with "it" for the whole document.
    const [, at = '', reason = ''] = /^(\S+) ([^]*)$/.exec(problem) ?? [];
    const unknownKey = /^must NOT have additional properties: (.*)$/.exec(reason)?.[1];
    const path = `${at === 'it' ? '' : at}${unknownKey === undefined ? '' : `/${unknownKey}`}`;
    throw new StateFileError(`${place(path)} ${unknownKey === undefined ? reason : 'is an unknown key'}`);
  }
  const paths = new Map<DesiredDevice, string>();
  const names = new Map<string, string>();
  const devices = content.devices.map((entry, index) => {
    const path = `/devices/${index}`;
    const first = names.get(entry.name);
    if (first !== undefined) {
      throw new StateFileError(
        `${place(`${path}/name`)} duplicate device ${entry.name}, first defined at ${place(first)}`,
      );
    }
    names.set(entry.name, path);
    const device = toDesired(entry, (key, reason) => new StateFileError(`${place(`${path}/${key}`)} ${reason}`));
    paths.set(device, path);
    return device;
  });
  return { devices, place: (device, key) => place([paths.get(device) ?? '', key].filter(Boolean).join('/')) };
}

/** {@link StateFile} is the type of schemas/state.schema.json, from which the check is compiled. */
function isStateFile(content: unknown): content is StateFile {
  return check(content) === undefined;
}

function parse(text: string, file: string): JsonSource {
  try {
    return parseJson(text);
  } catch (error) {
    if (error instanceof JsonSyntaxError) throw new StateFileError(`${file}: ${error.message}`, { cause: error });
    throw error;
  }
}

/** @param wrong creates the error for a key */
function toDesired(entry: DeviceEntry, wrong: (key: string, reason: string) => StateFileError): DesiredDevice {
  const { name, mgmtdev: managementDevice, type, mtu, max_vqp: maxVirtqueuePairs, device_features: features } = entry;
  const driver = typeof entry.driver === 'string' ? driverName(entry.driver) : entry.driver;
  const node = toNode(entry, driver, wrong);
  const mac = entry.mac === undefined ? undefined : normalizeMac(entry.mac);
  const server = toServer(entry, mac, wrong);
  return {
    name,
    managementDevice,
    ...(type && { type }),
    ...(mac && { mac }),
    ...(mtu !== undefined && { mtu }),
    ...(maxVirtqueuePairs !== undefined && { maxVirtqueuePairs }),
    ...(features && { features }),
    ...(server && { server }),
    ...(driver !== undefined && { driver }),
    ...(node && { node }),
  };
}

function toNode(
  { owner, group, mode }: DeviceEntry,
  driver: string | null | undefined,
  wrong: (key: string, reason: string) => StateFileError,
): NodeEntry | undefined {
  const entry = {
    ...(owner !== undefined && { owner }),
    ...(group !== undefined && { group }),
    ...(mode !== undefined && { mode }),
  };
  const [key] = Object.keys(entry);
  if (key === undefined) return undefined;
  if (driver !== VHOST_VDPA) throw wrong(key, 'requires driver vhost: only vhost_vdpa creates /dev/vhost-vdpa-N');
  return entry;
}

function toServer(
  entry: DeviceEntry,
  mac: string | undefined,
  wrong: (key: string, reason: string) => StateFileError,
): DesiredServer | undefined {
  if (entry.server === undefined) return undefined;
  if (entry.mgmtdev !== VDUSE) throw wrong('server', `is only supported with mgmtdev ${VDUSE}`);
  try {
    return readDesiredServer(entry, entry.server, mac);
  } catch (error) {
    if (error instanceof VduseError) throw wrong('server', error.message);
    throw error;
  }
}
