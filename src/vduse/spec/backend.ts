/** Chooses the backend of a served device. Does not access the machine. */
import { NbdUriError } from '../../nbd/error.js';
import { parseNbdUri } from '../../nbd/uri.js';
import type { BlockDeviceSpec, NetDeviceSpec } from './device-spec.js';
import { DeviceOptionError } from './error.js';
import { DEFAULT_SIZE } from './defaults.js';
import type { AioMode, CacheMode } from './fields.js';

/** Where the data of a block device is stored. */
export type BlockBackendOptions =
  /** In memory: it is lost when the server ends. */
  | { readonly type: 'ram'; readonly size?: number }
  /** In a file or on a block device. Without a size the device has the size of the file, and grows with it. */
  | {
      readonly type: 'file';
      readonly path: string;
      readonly size?: number;
      /** Chosen for the file by default, as is `aio`. */
      readonly cache?: CacheMode;
      readonly aio?: AioMode;
    }
  /** On an NBD server. The device has the size of the export. */
  | {
      readonly type: 'nbd';
      /** See `parseNbdUri`: a password in it is rejected. */
      readonly uri: string;
      readonly size?: undefined;
      /** For how long requests wait for a server that is gone, before they fail, in seconds; 30 by default. */
      readonly reconnect?: number;
      /** `writeback` by default. */
      readonly cache?: Exclude<CacheMode, 'none'>;
    }
  /** Nowhere: it reads as zeros. */
  | { readonly type: 'null'; readonly size?: number }
  /** In a backend of a module; see `CreateBlockBackend`. */
  | { readonly type: 'module'; readonly module: string; readonly options?: unknown; readonly size: number };

/**
 * Where the packets of a network device go: back to it, or to a TAP interface, which is created if it does not exist.
 */
export type NetBackendOptions = { readonly type: 'loopback' } | { readonly type: 'tap'; readonly ifname?: string };

/**
 * The backend of a block device: a file if there is a path, an NBD server if there is a URI, else memory.
 * @param again whether another server is to serve it, after the first
 * @throws DeviceOptionError
 */
export function blockBackendFor(
  device: BlockDeviceSpec,
  again: boolean,
): Exclude<BlockBackendOptions, { readonly type: 'module' }> {
  const { name, backend, path, uri, reconnect, size, cache, aio } = device;
  const chosen = backend ?? (path !== undefined ? 'file' : uri !== undefined ? 'nbd' : 'ram');
  if (chosen === 'nbd') return nbdBackendFor(device);
  refuse(chosen, { uri, reconnect });
  if (chosen === 'file') {
    if (path === undefined) throw new DeviceOptionError('Backend file requires "path"');
    return {
      type: 'file',
      path,
      ...(size !== undefined && { size }),
      ...(cache !== undefined && { cache }),
      ...(aio !== undefined && { aio }),
    };
  }
  refuse(chosen, { path, cache, aio });
  if (chosen === 'ram' && again) {
    throw new DeviceOptionError(
      `${name} is a disk in memory, which is lost with its server: only a disk in a file or on an NBD server supports "restart"`,
    );
  }
  return { type: chosen, size: size ?? DEFAULT_SIZE };
}

function nbdBackendFor({ uri, path, size, reconnect, cache, aio }: BlockDeviceSpec): BlockBackendOptions & {
  readonly type: 'nbd';
} {
  refuse('nbd', { path, size, aio });
  if (uri === undefined) throw new DeviceOptionError('Backend nbd requires "uri"');
  if (cache === 'none') throw new DeviceOptionError('"cache none" is not supported by backend nbd');
  try {
    parseNbdUri(uri);
  } catch (error) {
    if (error instanceof NbdUriError) throw new DeviceOptionError(error.message);
    throw error;
  }
  return {
    type: 'nbd',
    uri,
    ...(reconnect !== undefined && { reconnect }),
    ...(cache !== undefined && { cache }),
  };
}

/** @throws DeviceOptionError for an argument with a value */
function refuse(backend: string, values: Readonly<Record<string, unknown>>): void {
  for (const [keyword, value] of Object.entries(values)) {
    if (value !== undefined) throw new DeviceOptionError(`"${keyword}" is not supported by backend ${backend}`);
  }
}

/** The backend of a network device: a tap if it has a name, else loopback. @throws DeviceOptionError */
export function netBackendFor({ backend, ifname }: NetDeviceSpec): NetBackendOptions {
  const type = backend ?? (ifname === undefined ? 'loopback' : 'tap');
  if (type === 'tap') return { type, ...(ifname !== undefined && { ifname }) };
  if (ifname !== undefined) throw new DeviceOptionError('"ifname" is not supported by backend loopback');
  return { type };
}
