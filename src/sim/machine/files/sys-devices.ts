/** /sys/devices: the parents of vDPA devices, and what is below them. */
import { formatHandle } from '../../../vdpa/model.js';
import { busName, isHardware, parentOf } from '../../state/model.js';
import type { DeviceState, ManagementDeviceState, SimState, VduseInstanceState } from '../../state/model.js';
import { findDevice } from '../devices.js';
import { managementOf } from '../management-devices.js';
import { VDUSE_MAJOR, functionOf, instancePath, managementPath, pciPath } from '../places.js';
import { rootNames } from '../management/vdpasim.js';
import { directory, file, linkTo, listing, nested, ueventFile, type Directory, type FileNode } from './node.js';
import { vdpaDevice, virtioEntry } from './vdpa-device.js';

/** /sys/devices */
export function sysDevices(state: SimState): Directory {
  const hardware = nested(hardwarePlaces(state));
  const software = rootNames(state.machine.mgmtdev).filter((name) => name !== 'virtual');
  return directory(
    { virtual: () => directory({ vduse: () => vduseInstances(state) }) },
    listing(
      () => state.devices.filter((device) => isOnRoot(state, device)).map(({ name }) => name),
      (name) => {
        const device = findDevice(state, name);
        return device && isOnRoot(state, device) ? vdpaDevice(state, device) : undefined;
      },
    ),
    hardware,
    listing(
      () => software.filter((name) => hardware.get(name) === undefined),
      (name) => (software.includes(name) ? directory({ uevent: ueventFile({}) }) : undefined),
    ),
  );
}

/** Devices of the simulators have no parent. */
function isOnRoot(state: SimState, device: DeviceState): boolean {
  const { driver } = managementOf(state, device);
  return driver === 'vdpasim_net' || driver === 'vdpasim_blk';
}

/** /sys/devices/virtual/vduse */
function vduseInstances(state: SimState): Directory {
  return listing(
    () => ['control', ...state.vduse.map(({ name }) => busName(name))],
    (name) => {
      if (name === 'control') return vduseNode(name, 0, 'control');
      const instance = state.vduse.find((candidate) => busName(candidate.name) === name);
      return instance && vduseInstance(state, instance);
    },
  );
}

function vduseNode(name: string, minor: number, node: string, more: Record<string, () => FileNode> = {}): Directory {
  return directory({
    dev: file(`${VDUSE_MAJOR}:${minor}`),
    subsystem: linkTo(instancePath(name), '/class/vduse'),
    uevent: ueventFile({ MAJOR: VDUSE_MAJOR, MINOR: minor, DEVNAME: `vduse/${node}` }),
    ...more,
  });
}

/** Defaults of drivers/vdpa/vdpa_user/vduse_dev.c: 64 MiB, and 30 s. */
const BOUNCE_SIZE = 67_108_864;
const MESSAGE_TIMEOUT = 30;

function vduseInstance(state: SimState, { name, minor, vq_sizes: sizes }: VduseInstanceState): Directory {
  const device = findDevice(state, busName(name));
  const queues = sizes.map((_size, index) => [`vq${index}`, () => directory({ irq_cb_affinity: file(1) })] as const);
  return vduseNode(name, minor, busName(name), {
    ...Object.fromEntries(queues),
    bounce_size: () => ({ kind: 'file', mode: 0o644, text: `${BOUNCE_SIZE}\n` }),
    msg_timeout: () => ({ kind: 'file', mode: 0o644, text: `${MESSAGE_TIMEOUT}\n` }),
    ...(device && managementOf(state, device).driver === 'vduse' && { [device.name]: () => vdpaDevice(state, device) }),
  });
}

/** The directories of hardware, by their paths below /sys/devices: PCI functions, and auxiliary devices below them. */
function hardwarePlaces(state: SimState): Map<string, () => FileNode> {
  const places = new Map<string, () => FileNode>();
  const below = (path: string): string => path.replace(/^\/devices\//, '');
  const hardware = state.machine.mgmtdev.filter(isHardware);
  // A function may have several management devices: each makes virtio devices there.
  for (const address of new Set(hardware.flatMap((management) => functionOf(management) ?? []))) {
    places.set(below(pciPath(address)), () => pciFunction(state, address));
  }
  for (const management of hardware) {
    if (management.bus !== 'pci') places.set(below(managementPath(management)), () => otherParent(state, management));
  }
  // A physical function is there even if it is no management device itself.
  for (const management of hardware) {
    const physfn = management.parent?.physfn;
    if (physfn !== undefined && !places.has(below(pciPath(physfn)))) {
      places.set(below(pciPath(physfn)), () => pciFunction(state, physfn));
    }
  }
  return places;
}

/** The PCI functions of a machine: those of management devices, and their physical functions. */
export function pciFunctions(state: SimState): string[] {
  const addresses = state.machine.mgmtdev
    .filter(isHardware)
    .flatMap((management) => [functionOf(management), management.parent?.physfn]);
  return [...new Set(addresses.filter((address) => address !== undefined))];
}

function pciFunction(state: SimState, address: string): Directory {
  const path = pciPath(address);
  const own = state.machine.mgmtdev.find(({ bus, name }) => bus === 'pci' && name === address);
  const parent = own && parentOf(own);
  const virtual = state.machine.mgmtdev.filter((management) => parentOf(management)?.physfn === address);
  const hex = (number: number): string => `0x${number.toString(16).padStart(4, '0')}`;
  return directory({
    subsystem: linkTo(path, '/bus/pci'),
    uevent: ueventFile({
      ...(parent?.driver !== undefined && { DRIVER: parent.driver }),
      PCI_SLOT_NAME: address,
    }),
    numa_node: () => ({ kind: 'file', mode: 0o644, text: `${parent?.numa_node ?? -1}\n` }),
    ...(parent?.driver !== undefined && { driver: linkTo(path, `/bus/pci/drivers/${parent.driver}`) }),
    ...(parent?.vendor !== undefined && { vendor: file(hex(parent.vendor)) }),
    ...(parent?.device !== undefined && { device: file(hex(parent.device)) }),
    ...(parent?.physfn !== undefined && { physfn: linkTo(path, pciPath(parent.physfn)) }),
    ...Object.fromEntries(virtual.map(({ name }, index) => [`virtfn${index}`, linkTo(path, pciPath(name))])),
    ...(own && devicesOf(state, own)),
    ...virtioBelow(state, address),
  });
}

/** An auxiliary device, or one of another bus. */
function otherParent(state: SimState, management: ManagementDeviceState): Directory {
  const path = managementPath(management);
  const driver = parentOf(management)?.driver;
  const { bus } = management;
  return directory({
    uevent: ueventFile(driver === undefined ? {} : { DRIVER: driver }),
    ...(bus !== undefined && { subsystem: linkTo(path, `/bus/${bus}`) }),
    ...(bus !== undefined && driver !== undefined && { driver: linkTo(path, `/bus/${bus}/drivers/${driver}`) }),
    ...devicesOf(state, management),
    ...(functionOf(management) === undefined && virtioOf(state, management)),
  });
}

function devicesOf(state: SimState, management: ManagementDeviceState): Record<string, () => FileNode> {
  const handle = formatHandle(management);
  return Object.fromEntries(
    state.devices
      .filter(({ mgmtdev }) => mgmtdev === handle)
      .map((device) => [device.name, () => vdpaDevice(state, device)]),
  );
}

/** The virtio devices of all management devices of a PCI function, which does DMA for them. */
function virtioBelow(state: SimState, address: string): Record<string, () => FileNode> {
  const owners = state.machine.mgmtdev.filter((management) => functionOf(management) === address);
  return Object.fromEntries(owners.flatMap((management) => Object.entries(virtioOf(state, management))));
}

function virtioOf(state: SimState, management: ManagementDeviceState): Record<string, () => FileNode> {
  const handle = formatHandle(management);
  const devices = state.devices.filter(({ mgmtdev }) => mgmtdev === handle);
  return Object.fromEntries(devices.flatMap((device) => Object.entries(virtioEntry(state, device))));
}
