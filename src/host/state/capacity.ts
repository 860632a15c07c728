/** How many devices a management device can have. Netlink does not tell: each driver knows, and refuses one too many. */
import type { MachineFiles } from '../../sysfs/machine-files.js';
import { isFileName } from '../../sysfs/bus.js';
import type { ManagementDeviceHandle } from '../../vdpa/model.js';

/**
 * The drivers of hardware, as sysfs spells them. Each makes one device of a function, of all kernels up to 7.3: mlx5 and
 * pds refuse a second one; vp_vdpa, ifcvf and octep let it come and break the first.
 */
const singleDevice: ReadonlySet<string> = new Set([
  'vp-vdpa',
  'ifcvf',
  'octep_vdpa',
  'mlx5_core',
  'mlx5_core.sf',
  'pds_vdpa.vDPA',
]);

/**
 * The most devices that a management device can have; undefined where that is not known.
 * @throws SystemError where sysfs cannot be read
 */
export function capacityOf(files: MachineFiles, { bus, name }: ManagementDeviceHandle): number | undefined {
  if (bus === undefined || !isFileName(bus) || !isFileName(name)) return undefined;
  const driver = files.linkName(`/sys/bus/${bus}/devices/${name}/driver`);
  return driver !== undefined && singleDevice.has(driver) ? 1 : undefined;
}
