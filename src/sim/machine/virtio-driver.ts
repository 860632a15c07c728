/**
 * The virtio drivers of the machine. virtio_vdpa hands a device to virtio_net or virtio_blk, which negotiates features
 * before the binding is complete: for a new device before `dev add` is acknowledged.
 * drivers/virtio/virtio.c and virtio_vdpa.c, drivers/net/virtio_net.c, drivers/block/virtio_blk.c
 */
import { viewOf } from '../../netlink/bytes.js';
import { netConfigOffset } from '../../virtio/config-space.js';
import { VIRTIO_ID_BLOCK, VIRTIO_ID_NET } from '../../virtio/ids.js';
import { featureMask } from '../../virtio/feature-mask.js';
import type { VdpaDevice } from './management/driver.js';
import type { DeviceState } from '../state/model.js';

/** The state that the driver left. */
export interface Negotiation {
  /** The features of the driver; undefined while FEATURES_OK is not set. */
  readonly features: bigint | undefined;
  /** Commands that the driver sent over the control queue of a network device. */
  readonly controlCommands: bigint;
}

const net = (...names: string[]): bigint => featureMask(VIRTIO_ID_NET, names);
const block = (...names: string[]): bigint => featureMask(VIRTIO_ID_BLOCK, names);
const transport = (...names: string[]): bigint => featureMask(undefined, names);

const versionOne = transport('VERSION_1');
const accessPlatform = transport('ACCESS_PLATFORM');

/** The transport features that virtio_ring keeps. */
const ringFeatures =
  versionOne |
  accessPlatform |
  transport('RING_INDIRECT_DESC', 'RING_EVENT_IDX', 'RING_PACKED', 'IN_ORDER', 'ORDER_PLATFORM', 'NOTIFICATION_DATA');

/** The UDP tunnel features, which have no names yet: bits 46 to 49. */
const udpTunnelFeatures = 0xfn << 46n;

const netDriverFeatures =
  udpTunnelFeatures |
  net('CSUM', 'GUEST_CSUM', 'CTRL_GUEST_OFFLOADS', 'MTU', 'MAC', 'GUEST_TSO4', 'GUEST_TSO6', 'GUEST_ECN', 'GUEST_UFO') |
  net('HOST_TSO4', 'HOST_TSO6', 'HOST_ECN', 'HOST_UFO', 'MRG_RXBUF', 'STATUS', 'CTRL_VQ', 'CTRL_RX', 'CTRL_VLAN') |
  net('GUEST_ANNOUNCE', 'MQ', 'CTRL_MAC_ADDR', 'DEVICE_STATS', 'VQ_NOTF_COAL', 'NOTF_COAL', 'GUEST_USO4') |
  net('GUEST_USO6', 'HOST_USO', 'HASH_REPORT', 'GUEST_HDRLEN', 'RSS', 'STANDBY', 'SPEED_DUPLEX');

const mtu = net('MTU');
const mac = net('MAC');
const controlQueue = net('CTRL_VQ');
const controlMac = net('CTRL_MAC_ADDR');
const standby = net('STANDBY');

/** Features that virtio_net accepts only with a control queue. */
const needControlQueue =
  net('CTRL_RX', 'CTRL_VLAN', 'GUEST_ANNOUNCE', 'MQ', 'CTRL_MAC_ADDR') |
  net('RSS', 'HASH_REPORT', 'NOTF_COAL', 'VQ_NOTF_COAL');

const blockDriverFeatures =
  block('SEG_MAX', 'SIZE_MAX', 'GEOMETRY', 'RO', 'BLK_SIZE', 'FLUSH', 'TOPOLOGY', 'CONFIG_WCE', 'MQ', 'DISCARD') |
  block('WRITE_ZEROES', 'SECURE_ERASE', 'ZONED');

const driverFeatures: Readonly<Partial<Record<number, bigint>>> = {
  [VIRTIO_ID_NET]: netDriverFeatures,
  [VIRTIO_ID_BLOCK]: blockDriverFeatures,
};

/** The smallest MTU that virtio_net accepts. */
const minMtu = 68;

const untouched: Negotiation = { features: undefined, controlCommands: 0n };

/** The negotiation with a device as it is now: that of its virtio driver, if virtio_vdpa is bound to it. */
export function negotiate({ binding, starts = 0 }: DeviceState, opened: VdpaDevice): Negotiation {
  // Other bus drivers leave negotiation to their users.
  if (binding?.driver !== 'virtio_vdpa') return untouched;
  const { features, controlCommands } = negotiateAnew(opened);
  // The counters of a device survive its reset.
  return { features, controlCommands: controlCommands * BigInt(starts) };
}

/** How long a virtio driver has run the device, in milliseconds; 0 if none does. The clock may have been set back. */
export function runningTime({ binding }: DeviceState, now: number): number {
  if (binding?.driver !== 'virtio_vdpa' || binding.started === undefined) return 0;
  return Math.max(0, now - binding.started);
}

/** The negotiation of virtio_vdpa and the driver of the device type with a device that was reset. */
export function negotiateAnew(device: VdpaDevice): Negotiation {
  const driver = driverFeatures[device.deviceId];
  // Only some types have a driver; one without virtqueues has none.
  if (driver === undefined || device.maxVirtqueueSize < 1) return untouched;
  // Devices reject a driver without ACCESS_PLATFORM; without VERSION_1 there is no FEATURES_OK.
  if ((device.features & accessPlatform) === 0n || (device.features & versionOne) === 0n) return untouched;
  const offered = device.features & (driver | ringFeatures);
  return device.deviceId === VIRTIO_ID_NET ? negotiateNet(device, offered) : { ...untouched, features: offered };
}

function negotiateNet(device: VdpaDevice, offered: bigint): Negotiation {
  const has = (mask: bigint): boolean => (offered & mask) !== 0n;
  if (!has(controlQueue) && has(needControlQueue)) return untouched;
  let features = offered;
  if (viewOf(device.config).getUint16(netConfigOffset.mtu, true) < minMtu) features &= ~mtu;
  if (!has(mac)) features &= ~standby;
  // A network device without an address gets a random one, and is notified of it if it listens.
  return { features, controlCommands: !has(mac) && has(controlMac) ? 1n : 0n };
}
