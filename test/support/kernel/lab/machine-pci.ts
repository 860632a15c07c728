/** The machine qemu with its PCI devices, for what runs on it and on a simulated one. */
import { readFileSync } from 'node:fs';
import {
  parseMachine,
  type MachineDescription,
  type ManagementDescription,
} from '../../../../src/sim/state/description.js';
import { json } from '../../command-line.js';
import { bindVpVdpa, PCI, type PciAddress } from '../drivers/vp-vdpa.js';
import { simulatorDevices, vduseDevices, vduseInstances } from './machine-devices.js';
import type { AddableDevice } from './machine-sequence.js';
import type { TwinOptions } from './machine-twins.js';

/** What a virtio PCI device has, and its management device does not tell: as lab/machine/pci-devices.ts makes them. */
const devices: Readonly<Partial<Record<PciAddress, ManagementDescription>>> = {
  [PCI.block]: { capacity: 131_072 },
  [PCI.net]: { mac: '52:54:00:12:34:07' },
  [PCI.netWithMtu]: { mac: '52:54:00:12:34:08', mtu: 9000 },
};

/** Binds the devices to vp_vdpa, and describes the machine for the simulation as its management devices describe themselves. */
export async function describeQemu(): Promise<MachineDescription> {
  const addresses = Object.keys(devices) as PciAddress[];
  bindVpVdpa(...addresses);
  const { mgmtdev } = (await json('mgmtdev show')) as { mgmtdev: Record<string, ManagementDescription> };
  const described = Object.entries(mgmtdev).map(([handle, shown]): [string, ManagementDescription] => {
    const address = addresses.find((candidate) => handle === `pci/${candidate}`);
    if (address === undefined) return [handle, {}];
    const parent = { driver: 'vp-vdpa', vendor: pciId(address, 'vendor'), device: pciId(address, 'device') };
    return [handle, { ...shown, ...devices[address], driver: 'vp_vdpa', parent }];
  });
  return { mgmtdev: Object.fromEntries(described) };
}

/** The machine qemu with its PCI devices, and a program's VDUSE instances. */
export async function pciTwins(): Promise<TwinOptions> {
  const machine = parseMachine(JSON.stringify(await describeQemu()), 'the machine qemu');
  const addresses = Object.keys(devices) as PciAddress[];
  return {
    machine: { ...machine, vduse: vduseInstances },
    addable: [...simulatorDevices, ...vduseDevices, ...addresses.map(pciDevice)],
  };
}

function pciId(address: PciAddress, file: 'vendor' | 'device'): number {
  return Number(readFileSync(`/sys/bus/pci/devices/${address}/${file}`, 'latin1'));
}

/** Only one, with a name of its own: after vp_vdpa has rejected a second one, deleting the first one crashes the kernel. */
function pciDevice(address: PciAddress): AddableDevice {
  return { names: [`p${address.slice(-3, -2)}`], words: `mgmtdev pci/${address}`, most: 1 };
}
