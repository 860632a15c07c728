/** The directory of a vDPA device in /sys, with what its driver has created below it. */
import { formatMac } from '../../../virtio/mac-address.js';
import { netConfigOffset, blockConfigOffset } from '../../../virtio/config-space.js';
import { viewOf } from '../../../netlink/bytes.js';
import type { DeviceState, SimState, VirtioBinding } from '../../state/model.js';
import { findDevice, openDevice } from '../devices.js';
import { setOverride } from '../driver-core.js';
import { holdersOf } from '../holders.js';
import type { VdpaDevice } from '../management/driver.js';
import { VHOST_MAJOR, devicePath, diskDevice, diskName, virtioParent } from '../places.js';
import { modalias, virtioDriver } from '../virtio-bus.js';
import { control, directory, file, linkTo, ueventFile, type Directory, type FileNode } from './node.js';

/** The device of that name: `/sys/devices/foo0`. */
export function vdpaDevice(state: SimState, device: DeviceState): Directory {
  const { binding, driver_override: override = '(null)' } = device;
  const path = devicePath(state, device);
  const vhost = binding?.driver === 'vhost_vdpa' ? binding : undefined;
  const parts = virtioParent(state, device) === path ? virtioEntry(state, device) : {};
  return directory({
    ...(binding && { driver: linkTo(path, `/bus/vdpa/drivers/${binding.driver}`) }),
    driver_override: control((draft, text) => {
      const current = findDevice(draft, device.name);
      if (current !== undefined) setOverride(draft, current, text);
    }, override),
    subsystem: linkTo(path, '/bus/vdpa'),
    uevent: ueventFile(binding ? { DRIVER: binding.driver } : {}),
    ...(vhost && { [`vhost-vdpa-${vhost.minor}`]: () => vhostDevice(vhost.minor) }),
    ...parts,
  });
}

/** The device of a node has no class, and therefore neither a subsystem nor events. */
function vhostDevice(minor: number): Directory {
  return directory({ dev: file(`${VHOST_MAJOR}:${minor}`), uevent: ueventFile({}) });
}

/** The virtio device of a device as an entry of the directory that it is in; none without one. */
export function virtioEntry(state: SimState, device: DeviceState): Record<string, () => FileNode> {
  const { binding } = device;
  if (binding?.driver !== 'virtio_vdpa') return {};
  return { [`virtio${binding.virtio}`]: () => virtioDevice(state, device, binding) };
}

function virtioDevice(state: SimState, device: DeviceState, binding: VirtioBinding): Directory {
  const path = `${virtioParent(state, device)}/virtio${binding.virtio}`;
  const opened = openDevice(state, device);
  const driver = virtioDriver(binding);
  const { netdev, disk } = binding;
  const hex = (number: number, digits: number): string => `0x${number.toString(16).padStart(digits, '0')}`;
  const variables = { ...(driver !== undefined && { DRIVER: driver }), MODALIAS: modalias(opened) };
  return directory({
    device: file(hex(opened.deviceId, 4)),
    vendor: file(hex(opened.vendorId, 4)),
    modalias: file(modalias(opened)),
    subsystem: linkTo(path, '/bus/virtio'),
    uevent: ueventFile(variables),
    ...(driver !== undefined && { driver: linkTo(path, `/bus/virtio/drivers/${driver}`) }),
    ...(netdev && {
      net: () => directory({ [`eth${netdev.number}`]: () => interfaceOf(state, opened, netdev, path) }),
    }),
    ...(disk && { block: () => directory({ [diskName(disk.number)]: () => diskOf(opened, disk, path) }) }),
  });
}

/** IFF_UP and IFF_RUNNING, and the flags of an Ethernet interface: IFF_BROADCAST and IFF_MULTICAST. */
const DOWN = 0x1002;
const UP = 0x1003;

function interfaceOf(
  state: SimState,
  opened: VdpaDevice,
  { number, ifindex }: NonNullable<VirtioBinding['netdev']>,
  virtio: string,
): Directory {
  const name = `eth${number}`;
  const path = `${virtio}/net/${name}`;
  const view = viewOf(opened.config);
  return directory({
    address: file(formatMac(opened.config.subarray(netConfigOffset.mac, netConfigOffset.mac + 6))),
    device: linkTo(path, virtio),
    // Whether a process uses it now.
    flags: () => file(`0x${(holdersOf(state, name).length > 0 ? UP : DOWN).toString(16)}`)(),
    ifindex: file(ifindex),
    mtu: file(view.getUint16(netConfigOffset.mtu, true)),
    subsystem: linkTo(path, '/class/net'),
    type: file(1),
    uevent: ueventFile({ INTERFACE: name, IFINDEX: ifindex }),
  });
}

function diskOf(opened: VdpaDevice, { number, seq }: NonNullable<VirtioBinding['disk']>, virtio: string): Directory {
  const name = diskName(number);
  const path = `${virtio}/block/${name}`;
  const dev = diskDevice(number);
  const [MAJOR = '', MINOR = ''] = dev.split(':');
  return directory({
    dev: file(dev),
    device: linkTo(path, virtio),
    diskseq: file(seq),
    holders: () => directory({}),
    size: file(viewOf(opened.config).getBigUint64(blockConfigOffset.capacity, true).toString()),
    slaves: () => directory({}),
    subsystem: linkTo(path, '/class/block'),
    uevent: ueventFile({ MAJOR, MINOR, DEVNAME: name, DEVTYPE: 'disk', DISKSEQ: seq }),
  });
}
