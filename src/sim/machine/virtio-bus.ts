/** The virtio device of a vDPA device that is bound to virtio_vdpa, and its interface or disk. */
import { VIRTIO_ID_BLOCK, VIRTIO_ID_NET } from '../../virtio/ids.js';
import { lowestFree } from '../state/model.js';
import type { DeviceState, SimState, VirtioBinding } from '../state/model.js';
import type { MachineDraft } from '../state/store.js';
import { openDevice } from './devices.js';
import { forget } from './holders.js';
import type { VdpaDevice } from './management/driver.js';
import { diskDevice, diskName, virtioParent } from './places.js';
import { broadcast, type NewUevent } from './uevents.js';
import { negotiateAnew } from './virtio-driver.js';

/** The virtio drivers of the machine, by the type of device. */
const drivers: Readonly<Partial<Record<number, string>>> = {
  [VIRTIO_ID_NET]: 'virtio_net',
  [VIRTIO_ID_BLOCK]: 'virtio_blk',
};

/** The driver bound to a virtio device; undefined if there is none for its type, or it has refused the device. */
export function virtioDriver({ netdev, disk }: VirtioBinding): string | undefined {
  if (netdev !== undefined) return drivers[VIRTIO_ID_NET];
  return disk === undefined ? undefined : drivers[VIRTIO_ID_BLOCK];
}

/** The alias by which modules are found: `virtio:d00000001v00000000`. */
export function modalias({ deviceId, vendorId }: Pick<VdpaDevice, 'deviceId' | 'vendorId'>): string {
  const hex = (id: number): string => id.toString(16).toUpperCase().padStart(8, '0');
  return `virtio:d${hex(deviceId)}v${hex(vendorId)}`;
}

/** Creates the virtio device of a device, and starts its driver. Returns the device with its binding. */
export function startVirtio(draft: MachineDraft, device: DeviceState, opened: VdpaDevice): DeviceState {
  const others = bindings(draft);
  const virtio = lowestFree(others.map((other) => other.virtio));
  const started = negotiateAnew(opened).features !== undefined;
  const binding: VirtioBinding = {
    driver: 'virtio_vdpa',
    virtio,
    ...(started && { started: draft.now }),
    ...(started && opened.deviceId === VIRTIO_ID_NET && { netdev: newInterface(draft, others) }),
    ...(started && opened.deviceId === VIRTIO_ID_BLOCK && { disk: newDisk(draft, others) }),
  };
  const path = `${virtioParent(draft, device)}/virtio${virtio}`;
  const variables = { MODALIAS: modalias(opened) };
  broadcast(draft, { action: 'add', devpath: path, subsystem: 'virtio', variables });
  for (const part of partsOf(binding, path)) broadcast(draft, { ...part, action: 'add' });
  const driver = virtioDriver(binding);
  if (driver !== undefined) {
    broadcast(draft, {
      action: 'bind',
      devpath: path,
      subsystem: 'virtio',
      variables: { DRIVER: driver, ...variables },
    });
  }
  return { ...device, binding, ...(started && { starts: (device.starts ?? 0) + 1 }) };
}

/** Removes the virtio device of a device. */
export function stopVirtio(draft: MachineDraft, device: DeviceState, binding: VirtioBinding): void {
  const path = `${virtioParent(draft, device)}/virtio${binding.virtio}`;
  for (const part of partsOf(binding, path)) broadcast(draft, { ...part, action: 'remove' });
  for (const part of partNames(binding)) forget(draft, part);
  if (virtioDriver(binding) !== undefined) {
    broadcast(draft, { action: 'unbind', devpath: path, subsystem: 'virtio' });
  }
  const variables = { MODALIAS: modalias(openDevice(draft, device)) };
  broadcast(draft, { action: 'remove', devpath: path, subsystem: 'virtio', variables });
}

/** The names of the interface or disk of a virtio device. */
export function partNames({ netdev, disk }: VirtioBinding): string[] {
  return [...(netdev ? [`eth${netdev.number}`] : []), ...(disk ? [diskName(disk.number)] : [])];
}

/** What the driver has created, in the order in which it is created, and removed as well. */
function partsOf({ netdev, disk }: VirtioBinding, path: string): Omit<NewUevent, 'action'>[] {
  const parts: Omit<NewUevent, 'action'>[] = [];
  if (netdev !== undefined) {
    const devpath = `${path}/net/eth${netdev.number}`;
    const variables = { INTERFACE: `eth${netdev.number}`, IFINDEX: netdev.ifindex };
    parts.push({ devpath: `${devpath}/queues/tx-0`, subsystem: 'queues' });
    parts.push({ devpath, subsystem: 'net', variables });
  }
  if (disk !== undefined) {
    const name = diskName(disk.number);
    const [major = '', minor = ''] = diskDevice(disk.number).split(':');
    const variables = { MAJOR: major, MINOR: minor, DEVNAME: name, DEVTYPE: 'disk', DISKSEQ: disk.seq };
    parts.push({ devpath: `/devices/virtual/bdi/${major}:${minor}`, subsystem: 'bdi' });
    parts.push({ devpath: `${path}/block/${name}`, subsystem: 'block', variables });
  }
  return parts;
}

function newInterface(draft: MachineDraft, others: readonly VirtioBinding[]): NonNullable<VirtioBinding['netdev']> {
  const ifindex = draft.kernel.ifindex + 1;
  draft.kernel = { ...draft.kernel, ifindex };
  return { number: lowestFree(others.map(({ netdev }) => netdev?.number)), ifindex };
}

function newDisk(draft: MachineDraft, others: readonly VirtioBinding[]): NonNullable<VirtioBinding['disk']> {
  const seq = draft.kernel.diskseq + 1;
  draft.kernel = { ...draft.kernel, diskseq: seq };
  return { number: lowestFree(others.map(({ disk }) => disk?.number)), seq };
}

function bindings({ devices }: SimState): VirtioBinding[] {
  return devices.flatMap(({ binding }) => (binding?.driver === 'virtio_vdpa' ? [binding] : []));
}
