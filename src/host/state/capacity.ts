/** Knows how many devices a management device supports. Netlink does not report it: each driver has its own limit. */
import type { MachineFiles } from '../../sysfs/machine-files.js';
import { isFileName } from '../../sysfs/bus.js';
import { parseHandle } from '../../vdpa/model.js';

/**
 * Hardware drivers by their names in sysfs. In all kernels up to 7.3, each supports one device per function: mlx5 and
 * pds reject a second one; vp_vdpa, ifcvf and octep accept it and break the first.
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
 * The maximum number of devices of a management device; undefined if it is unknown.
 *
 * Command line: Part of `vdpa apply FILE`.
 * @param managementDevice its handle: `pci/0000:03:00.2`
 * @throws SystemError if sysfs cannot be read
 */
export function capacityOf(files: MachineFiles, managementDevice: string): number | undefined {
  const { bus, name } = parseHandle(managementDevice);
  if (bus === undefined || !isFileName(bus) || !isFileName(name)) return undefined;
  const driver = files.linkName(`/sys/bus/${bus}/devices/${name}/driver`);
  return driver !== undefined && singleDevice.has(driver) ? 1 : undefined;
}
