/** Serves a device of either type. */
import { startWithin, type WaitOptions } from '../sys/wait.js';
import type { DeviceType } from '../virtio/classes.js';
import { serveBlockDevice, type BlockDeviceOptions } from './block/device.js';
import { serveNetDevice, type NetDeviceOptions } from './net/device.js';
import type { VduseServer } from './server.js';
import type { AioMode, CacheMode } from './spec/fields.js';

/**
 * A device to serve: `type` decides which options it has. The time limit, none by default, and the signal are for the
 * start: a device that is ready later is stopped.
 */
export type ServeOptions = WaitOptions &
  (({ readonly type: 'block' } & BlockDeviceOptions) | ({ readonly type: 'net' } & NetDeviceOptions));

/** A device that this process serves. */
export interface ServedDevice extends AsyncDisposable {
  readonly name: string;
  readonly type: DeviceType;
  /** Its server: state, status and events. */
  readonly server: VduseServer;
  /** Of a block device in a file: how the file is accessed. */
  readonly cache?: CacheMode;
  readonly aio?: AioMode;
  /** Of a network device: `02:00:00:00:00:01`. */
  readonly mac?: string;
  /** Of a network device on a TAP interface: the name of the interface. */
  readonly ifname?: string;
  /** The TAP interface that the last server of the instance created, if it was not found and a new one was created. */
  readonly lostTap?: string;
  /**
   * Stops the service and destroys the instance, as {@link VduseServer.stop} does.
   * @throws SystemError: EBUSY while the device is still on the vdpa bus; it is no longer served nevertheless
   */
  stop(options?: { readonly keep?: boolean }): Promise<void>;
}

/**
 * Serves a VDUSE device from this process until it is stopped. Once this returns, the device can be attached to the
 * vdpa bus: `client.addDevice({ name, managementDevice: 'vduse' })`. `vdpa vduse serve name NAME`
 *
 * @example
 * await using device = await serve({ type: 'block', name: 'disk0', backend: { type: 'ram', size: 64 * 1024 * 1024 } });
 * @throws DeviceNameError and DeviceOptionError for an invalid option, ArgumentError for an invalid MAC address;
 * SystemError, with ETIMEDOUT after the time limit; VduseError if a data thread ends early; the reason of the signal
 */
export function serve(options: ServeOptions): Promise<ServedDevice> {
  return startWithin(
    () => start(options),
    (device) => device.stop(),
    options,
    `serve ${options.name}`,
  );
}

async function start(options: ServeOptions): Promise<ServedDevice> {
  if (options.type === 'block') {
    const { server, access } = await serveBlockDevice(options);
    return served(options, server, access ?? {});
  }
  const { server, mac, ifname, lostTap } = await serveNetDevice(options);
  return served(options, server, {
    mac,
    ...(ifname !== undefined && { ifname }),
    ...(lostTap !== undefined && { lostTap }),
  });
}

function served(
  { name, type }: ServeOptions,
  server: VduseServer,
  facts: Pick<ServedDevice, 'mac' | 'ifname' | 'lostTap' | 'cache' | 'aio'>,
): ServedDevice {
  return {
    name,
    type,
    server,
    ...facts,
    stop: (options) => server.stop(options),
    [Symbol.asyncDispose]: () => server.stop(),
  };
}
