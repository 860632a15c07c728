import { deviceTypeName, deviceClasses } from '../virtio/classes.js';
import { VIRTIO_ID_NET } from '../virtio/ids.js';
import type { ManagementDevice } from '../vdpa/model.js';
import { renderFeatures } from './features.js';
import type { Printer } from './printer.js';

/** Prints a management device as `vdpa mgmtdev show` does. */
export function renderManagementDevice(printer: Printer, device: ManagementDevice): void {
  printer.openRecord(device.handle);
  const classes = device.supportedClasses === undefined ? [] : deviceClasses(device.supportedClasses);
  if (device.supportedClasses !== undefined) {
    printer.openList('supported_classes');
    for (const id of classes) printer.item(deviceTypeName(id) ?? '< unknown class >');
    printer.closeList();
  }
  if (device.maxVirtqueues !== undefined) {
    printer.newline();
    printer.number('max_supported_vqs', device.maxVirtqueues, '  max_supported_vqs ');
  }
  if (device.supportedFeatures !== undefined) {
    renderFeatures(printer, 'dev_features', device.supportedFeatures, namingClass(classes));
  }
  printer.closeRecord();
}

/** The class whose names are used for bits of several classes: net if it is among them, else the only class. */
function namingClass(classes: readonly number[]): number | undefined {
  if (classes.includes(VIRTIO_ID_NET)) return VIRTIO_ID_NET;
  return classes.length === 1 ? classes[0] : undefined;
}
