/** Which backend a served device has, by what was said and what was not. Touches nothing of the machine. */
import type { StorageOptions } from '../block-storage.js';
import { DEFAULT_SIZE } from '../device-options.js';
import { DeviceOptionError } from '../device-option-error.js';
import type { NetDeviceOptions } from '../net-device.js';
import type { BlockServed, NetServed } from './served-device.js';

/**
 * Where a block device's data is: in a file where there is a path, in memory otherwise.
 * @param again whether another server is to serve it, after the first
 * @throws DeviceOptionError
 */
export function storageOf(
  { name, backend, path, size }: BlockServed,
  again: boolean,
): Exclude<StorageOptions, { readonly backend: 'module' }> {
  const chosen = backend ?? (path === undefined ? 'ram' : 'file');
  if (chosen === 'file') {
    if (path === undefined) throw new DeviceOptionError('A device in a file needs the path of the file');
    return { backend: 'file', path, ...(size !== undefined && { size }) };
  }
  if (path !== undefined) throw new DeviceOptionError(`A path is of no use to a device whose backend is ${chosen}`);
  if (chosen === 'ram' && again) {
    throw new DeviceOptionError(
      `${name} is in memory, which ends with its server: such a device cannot get another one; it can be in a file`,
    );
  }
  return { backend: chosen, size: size ?? DEFAULT_SIZE };
}

/** What a network device sends to: a tap where it has a name, itself otherwise. @throws DeviceOptionError */
export function netBackendOf({ backend, ifname }: NetServed): NetDeviceOptions['backend'] {
  const type = backend ?? (ifname === undefined ? 'loopback' : 'tap');
  if (type === 'tap') return { type, ...(ifname !== undefined && { ifname }) };
  if (ifname !== undefined) {
    throw new DeviceOptionError('The name of an interface is of no use to a device whose backend is loopback');
  }
  return { type };
}
