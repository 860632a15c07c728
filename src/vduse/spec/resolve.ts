/** A served device with its defaults. Touches nothing of the machine. */
import { netBackendFor, storageFor } from './backend.js';
import type { ServedDeviceSpec } from './device-spec.js';
import { checkBlockOptions, checkNetOptions, checkSize } from './limits.js';
import { defaultMac, DEFAULT_BLOCK_SIZE, DEFAULT_QUEUE_SIZE, DEFAULT_SIZE, defaultSerial } from './defaults.js';

/**
 * Fills in what was left out. A file without a size stays without one, as it may grow; so does an interface without a name,
 * which the kernel chooses.
 * @throws DeviceOptionError for arguments that do not go together
 */
export function resolveSpec(spec: ServedDeviceSpec): ServedDeviceSpec {
  const common = { queues: 1, queueSize: DEFAULT_QUEUE_SIZE, restart: false };
  if (spec.type === 'net') {
    const { type: backend } = netBackendFor(spec);
    return { ...common, mac: defaultMac(spec.name), ...spec, backend };
  }
  const { backend, size } = storageFor(spec, false);
  return {
    ...common,
    blockSize: DEFAULT_BLOCK_SIZE,
    readonly: false,
    serial: defaultSerial(spec.name),
    ...spec,
    backend,
    ...(size !== undefined && { size }),
  };
}

/**
 * Checks what a server would refuse, as far as the machine has no part in it.
 * @throws DeviceOptionError
 */
export function checkDeviceSpec(device: ServedDeviceSpec): void {
  const { queues = 1, queueSize = DEFAULT_QUEUE_SIZE } = device;
  if (device.type === 'block') {
    checkBlockOptions({ queues, queueSize, serial: device.serial ?? '' });
    checkSize(storageFor(device, device.restart === true).size ?? DEFAULT_SIZE, device.blockSize ?? DEFAULT_BLOCK_SIZE);
  } else {
    netBackendFor(device);
    checkNetOptions({ pairs: queues, queueSize, mac: device.mac ?? defaultMac(device.name), mtu: device.mtu });
  }
}
