/** A served device with its defaults. Does not access the machine. */
import { netBackendFor, blockBackendFor } from './backend.js';
import type { ServedDeviceSpec } from './device-spec.js';
import { checkBlockOptions, checkNetOptions, checkSize } from './limits.js';
import {
  defaultMac,
  DEFAULT_BLOCK_SIZE,
  DEFAULT_QUEUE_SIZE,
  DEFAULT_RECONNECT,
  DEFAULT_SIZE,
  defaultSerial,
} from './defaults.js';

/**
 * Fills in omitted fields. A file or an export of an NBD server without a size remains without one; so does an interface
 * without a name, which the kernel chooses.
 * @throws DeviceOptionError for conflicting arguments
 */
export function resolveSpec(spec: ServedDeviceSpec): ServedDeviceSpec {
  const common = { queues: 1, queueSize: DEFAULT_QUEUE_SIZE, packed: false, restart: false };
  if (spec.type === 'net') {
    const { type: backend } = netBackendFor(spec);
    return { ...common, mac: defaultMac(spec.name), ...spec, backend };
  }
  const { type: backend, size } = blockBackendFor(spec, false);
  return {
    ...common,
    blockSize: DEFAULT_BLOCK_SIZE,
    readonly: false,
    ...(backend === 'nbd' && { reconnect: DEFAULT_RECONNECT }),
    serial: defaultSerial(spec.name),
    ...spec,
    backend,
    ...(size !== undefined && { size }),
  };
}

/**
 * Checks everything that a server would reject, as far as that does not depend on the machine.
 * @throws DeviceOptionError
 */
export function checkDeviceSpec(device: ServedDeviceSpec): void {
  const { queues = 1, queueSize = DEFAULT_QUEUE_SIZE } = device;
  if (device.type === 'block') {
    checkBlockOptions({ queues, queueSize, serial: device.serial ?? '' });
    checkSize(
      blockBackendFor(device, device.restart === true).size ?? DEFAULT_SIZE,
      device.blockSize ?? DEFAULT_BLOCK_SIZE,
    );
  } else {
    netBackendFor(device);
    checkNetOptions({ pairs: queues, queueSize, mac: device.mac ?? defaultMac(device.name), mtu: device.mtu });
  }
}
