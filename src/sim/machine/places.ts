/** Where devices are in /sys, and the names of what their drivers create. */
import { busName, isHardware, parentOf } from '../state/model.js';
import type { DeviceState, ManagementDeviceState, SimState } from '../state/model.js';
import { managementOf } from './management-devices.js';

/** A PCI address: its domain and bus name the host bridge. */
const pciAddress = /^([0-9a-f]{4,}:[0-9a-f]{2}):[0-9a-f]{2}\.[0-7]$/;

/** The path of a PCI function below /sys. */
export function pciPath(address: string): string {
  return `/devices/pci${pciAddress.exec(address)?.[1] ?? '0000:00'}/${address}`;
}

/** The path of a VDUSE instance below /sys. */
export function instancePath(name: string): string {
  return `/devices/virtual/vduse/${busName(name)}`;
}

/** The path of a management device below /sys: of the device that its driver is bound to. */
export function managementPath(management: ManagementDeviceState): string {
  const { bus, name } = management;
  if (bus === 'pci') return pciPath(name);
  const above = parentOf(management)?.pci;
  return above === undefined ? `/devices/${busName(name)}` : `${pciPath(above)}/${busName(name)}`;
}

/** The PCI function of a management device, at any level above it. */
export function functionOf(management: ManagementDeviceState): string | undefined {
  if (management.bus === 'pci') return management.name;
  return parentOf(management)?.pci;
}

/** The path of a device below /sys. */
export function devicePath(state: SimState, device: DeviceState): string {
  const management = managementOf(state, device);
  if (management.driver === 'vduse') return `${instancePath(device.name)}/${device.name}`;
  return isHardware(management) ? `${managementPath(management)}/${device.name}` : `/devices/${device.name}`;
}

/**
 * The device below which virtio_vdpa creates the virtio device: the one that does DMA. The simulators and VDUSE map
 * memory themselves; hardware is a PCI function. drivers/virtio/virtio_vdpa.c, virtio_vdpa_probe()
 */
export function virtioParent(state: SimState, device: DeviceState): string {
  const management = managementOf(state, device);
  if (!isHardware(management)) return devicePath(state, device);
  const address = functionOf(management);
  return address === undefined ? managementPath(management) : pciPath(address);
}

/** The name of a disk: vda … vdz, vdaa. drivers/scsi/sd.c, sd_format_disk_name() */
export function diskName(number: number): string {
  let letters = '';
  for (let rest = number; rest >= 0; rest = Math.floor(rest / 26) - 1) {
    letters = String.fromCharCode(97 + (rest % 26)) + letters;
  }
  return `vd${letters}`;
}

/** A disk has this many minor numbers, for its partitions. */
const MINORS_PER_DISK = 16;

/** Dynamic major numbers, as on a machine with few drivers. */
export const VHOST_MAJOR = 253;
export const VDUSE_MAJOR = 254;
export const DISK_MAJOR = 254;

/** The number of a disk: `254:16`. */
export function diskDevice(number: number): string {
  return `${DISK_MAJOR}:${number * MINORS_PER_DISK}`;
}
