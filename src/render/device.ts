import { VIRTIO_ID_BLOCK, VIRTIO_ID_NET } from '../virtio/ids.js';
import type { VdpaDevice } from '../vdpa/model.js';
import type { DeviceDetails } from '../host/device-details.js';
import { renderDetails } from './details.js';
import type { Printer } from './printer.js';

/** iproute2's name of a virtio device id. */
export function typeName(deviceId: number): string {
  switch (deviceId) {
    case VIRTIO_ID_NET:
      return 'network';
    case VIRTIO_ID_BLOCK:
      return 'block';
    default:
      return '<unknown type>';
  }
}

/** Prints a device as `vdpa dev show` does, with its details on the machine if given. */
export function renderDevice(printer: Printer, device: VdpaDevice, details?: DeviceDetails): void {
  printer.openRecord(device.name);
  printer.string('type', typeName(device.deviceId), 'type ');
  printer.string('mgmtdev', device.managementDevice, ' mgmtdev ');
  if (device.vendorId !== undefined) printer.number('vendor_id', device.vendorId, ' vendor_id ');
  if (device.maxVirtqueues !== undefined) printer.number('max_vqs', device.maxVirtqueues, ' max_vqs ');
  if (device.maxVirtqueueSize !== undefined) printer.number('max_vq_size', device.maxVirtqueueSize, ' max_vq_size ');
  if (details) renderDetails(printer, details);
  printer.closeRecord();
}
