/**
 * Finds the virtio device that virtio_vdpa has created for a vdpa device. drivers/virtio/virtio_vdpa.c creates it below
 * the device that does DMA: that is the vdpa device itself for the simulators and VDUSE, and for hardware (vp_vdpa,
 * mlx5, ifcvf, pds, snet, octep, eni) the PCI function above it, which several vdpa devices may share.
 */
import { dirname } from 'node:path';
import { encodeText } from '../netlink/text-encoding.js';
import { BUS_INFO_MAX } from '../sys/ethtool.js';
import type { MachineFiles } from './machine-files.js';

/** A virtio device with its interface or disk. */
export interface VirtioDevice {
  /** Its name on the virtio bus: `virtio0`. */
  readonly virtio: string;
  /** The driver bound to it: `virtio_net`. */
  readonly virtioDriver?: string;
  /** Its network interface, if it is in this network namespace. */
  readonly netdev?: string;
  /** Its network interface is in another network namespace than this process, and its name there is not visible. */
  readonly netdevElsewhere?: true;
  /** Its disk: `vda`. */
  readonly block?: string;
}

/** The result: the device, or the candidates. */
export type FoundVirtio =
  | { readonly kind: 'found'; readonly device: VirtioDevice }
  | { readonly kind: 'one of'; readonly candidates: readonly VirtioDevice[] };

/** The parent that an interface reports: the name of its vdpa device, from virtio_vdpa_bus_name(). */
export type BusInfo = (netdev: string) => Uint8Array | undefined;

/** A vdpa device and its directory in sysfs, without links. */
export interface DeviceFolder {
  readonly name: string;
  readonly folder: string;
}

/**
 * Finds the virtio device of a device that is bound to virtio_vdpa.
 * @param bound returns all devices that are bound to it
 * @returns undefined if there is none yet, or none any longer
 * @throws SystemError if sysfs cannot be read
 */
export function findVirtio(
  files: MachineFiles,
  { name, folder }: DeviceFolder,
  bound: () => readonly DeviceFolder[],
  busInfo: BusInfo,
): FoundVirtio | undefined {
  const place = dmaFolder(files, folder);
  if (place === undefined) return undefined;
  const devices = virtioBelow(files, place).map((virtio) => readVirtioDevice(files, `${place}/${virtio}`, virtio));
  // A virtio device below the vdpa device itself belongs to it.
  const [own] = devices;
  if (place === folder) return own && { kind: 'found', device: own };
  const claims = devices.map((device) => ({
    device,
    owner: device.netdev === undefined ? undefined : busInfo(device.netdev),
  }));
  const isClaimedBy = (claim: (typeof claims)[number], candidate: string): boolean =>
    claim.owner !== undefined && isSameText(claim.owner, cut(candidate));
  const others = bound().filter((other) => other.name !== name && dmaFolder(files, other.folder) === place);
  const isAlone = !others.some((other) => isSameText(cut(other.name), cut(name)));
  const claimed = claims.find((claim) => isClaimedBy(claim, name));
  if (claimed && isAlone) return { kind: 'found', device: claimed.device };
  // Each device has exactly one, so a single remaining one belongs to the single remaining device.
  const left = claims.filter(({ owner }) => owner === undefined || isSameText(owner, cut(name)));
  const waiting = others.filter((other) => !claims.some((claim) => isClaimedBy(claim, other.name)));
  const candidates = left.map(({ device }) => device);
  const [candidate] = candidates;
  if (candidate === undefined) return undefined;
  return candidates.length === 1 && waiting.length === 0
    ? { kind: 'found', device: candidate }
    : { kind: 'one of', candidates };
}

/** The nearest directory, from the vdpa device upwards, that contains virtio devices of virtio_vdpa. */
function dmaFolder(files: MachineFiles, folder: string): string | undefined {
  for (let at = folder; at.startsWith('/sys/devices/'); at = dirname(at)) {
    // The parent of a virtio device of another transport is bound to that transport's driver: virtio-pci, virtio-mmio.
    const isTransport = files.linkName(`${at}/driver`)?.startsWith('virtio-') === true;
    if (!isTransport && virtioBelow(files, at).length > 0) return at;
  }
  return undefined;
}

function virtioBelow(files: MachineFiles, folder: string): string[] {
  return files.list(folder).filter((part) => /^virtio[0-9]+$/.test(part));
}

function readVirtioDevice(files: MachineFiles, folder: string, virtio: string): VirtioDevice {
  const virtioDriver = files.linkName(`${folder}/driver`);
  const [netdev] = files.list(`${folder}/net`);
  const [block] = files.list(`${folder}/block`);
  return {
    virtio,
    ...(virtioDriver !== undefined && { virtioDriver }),
    ...(netdev !== undefined && { netdev }),
    // The directory exists as long as the interface does, and shows interfaces of one network namespace only.
    ...(netdev === undefined && files.exists(`${folder}/net`) && { netdevElsewhere: true }),
    ...(block !== undefined && { block }),
  };
}

/** The part of a name that fits into `bus_info`. */
function cut(name: string): Uint8Array {
  return encodeText(name).subarray(0, BUS_INFO_MAX);
}

function isSameText(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}
