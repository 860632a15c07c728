import { renderDevice } from '../render/device.js';
import type { Printer } from '../render/printer.js';
import type { VdpaBus } from '../sysfs/bus.js';
import type { VdpaDevice } from '../vdpa/model.js';

/** Shows devices with the details from sysfs. */
export async function renderDetailed(printer: Printer, devices: readonly VdpaDevice[], bus: VdpaBus): Promise<void> {
  const { detailsReader } = await import('../host/device-details.js');
  const read = detailsReader(bus);
  for (const device of devices) renderDevice(printer, device, await read(device.name));
}
