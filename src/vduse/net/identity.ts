/** The driver-visible properties of a network device. Does not access the machine. */
import { netConfigLength, netConfigOffset } from '../../virtio/config-space.js';
import { VIRTIO_ID_NET } from '../../virtio/ids.js';
import { parseMac } from '../../virtio/mac-address.js';
import * as net from '../../virtio/net.js';
import type { DeviceIdentity } from '../kernel/control.js';
import { ringFeatures } from '../engine/negotiation.js';

/** Features of a tap that drivers may use. */
const TAP_FEATURES = [
  net.VIRTIO_NET_F_CSUM,
  net.VIRTIO_NET_F_GUEST_CSUM,
  net.VIRTIO_NET_F_GUEST_TSO4,
  net.VIRTIO_NET_F_GUEST_TSO6,
  net.VIRTIO_NET_F_GUEST_ECN,
  net.VIRTIO_NET_F_HOST_TSO4,
  net.VIRTIO_NET_F_HOST_TSO6,
  net.VIRTIO_NET_F_HOST_ECN,
  net.VIRTIO_NET_F_MRG_RXBUF,
];

/** The driver-visible properties of a network device. */
export function netIdentity(device: {
  readonly mac: string;
  readonly mtu: number | undefined;
  readonly pairs: number;
  readonly queueSize: number;
  /** Whether drivers may use packed virtqueues. */
  readonly packed: boolean;
  readonly offloads: boolean;
}): DeviceIdentity {
  const bits = [
    net.VIRTIO_NET_F_MAC,
    net.VIRTIO_NET_F_STATUS,
    ...(device.mtu === undefined ? [] : [net.VIRTIO_NET_F_MTU]),
    ...(device.offloads ? TAP_FEATURES : []),
  ];
  const config = new Uint8Array(netConfigLength);
  const view = new DataView(config.buffer);
  config.set(parseMac(device.mac), netConfigOffset.mac);
  view.setUint16(netConfigOffset.status, net.VIRTIO_NET_S_LINK_UP, true);
  // VIRTIO_NET_F_MQ needs a control queue, which the kernel does not permit for VDUSE devices. The pairs exist anyway,
  // for drivers that do not need this feature bit to use them.
  view.setUint16(netConfigOffset.maxVirtqueuePairs, device.pairs, true);
  view.setUint16(netConfigOffset.mtu, device.mtu ?? 0, true);
  return {
    deviceId: VIRTIO_ID_NET,
    vendorId: 0,
    features: bits.reduce((features, bit) => features | (1n << bit), ringFeatures(device.packed)),
    config,
    queueCount: device.pairs * 2,
    queueSize: device.queueSize,
  };
}
