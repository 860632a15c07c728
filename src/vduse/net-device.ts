import { createHash } from 'node:crypto';
import { close } from '../sys/libc.js';
import { netConfigLength, netConfigOffset } from '../virtio/config-space.js';
import { VIRTIO_ID_NET } from '../virtio/ids.js';
import * as net from '../virtio/net.js';
import type { DeviceIdentity } from './control.js';
import { DeviceOptionError } from './device-option-error.js';
import { moduleUrl } from './module-url.js';
import { checkQueueSize, RING_FEATURES } from './negotiation.js';
import type { NetModuleOptions } from './net-module.js';
import { VduseServer } from './server.js';
import { openTap, type TapInterface } from './tap-interface.js';

/** A network device of VDUSE. */
export interface NetDeviceOptions {
  readonly name: string;
  /** What is sent comes back; or a tap interface of this machine, made where it is not there. */
  readonly backend: { readonly type: 'loopback' } | { readonly type: 'tap'; readonly ifname?: string };
  /** Six bytes; made from the name by default, so that the device has the same whenever it is made. */
  readonly mac?: Uint8Array;
  readonly mtu?: number;
  /** How many pairs of queues there are; 1 by default. */
  readonly pairs?: number;
  /** How many descriptors each queue has at most: a power of two from 4 to 1024, 256 by default. */
  readonly queueSize?: number;
  /** How many threads serve the pairs; 1 by default. */
  readonly threads?: number;
  readonly takeOver?: boolean;
}

/** What a tap can do that drivers may use. */
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

/** The kernel's limits of an Ethernet device (ETH_MIN_MTU, ETH_MAX_MTU). */
const MIN_MTU = 68;
const MAX_MTU = 65535;

/** A network device that is served, and what it is on this machine. */
export interface NetDevice {
  readonly server: VduseServer;
  readonly mac: Uint8Array;
  /** The tap's name. */
  readonly ifname: string | undefined;
}

/**
 * Serves a network device until its server is stopped. The device can be attached to the vdpa bus when this returns.
 * @throws DeviceNameError, DeviceOptionError, InterfaceNameError, SystemError
 */
export async function serveNetDevice(options: NetDeviceOptions): Promise<NetDevice> {
  const { backend, pairs = 1, queueSize = 256, mtu, mac = macFor(options.name) } = options;
  if (!Number.isInteger(pairs) || pairs < 1 || pairs > 128) {
    throw new DeviceOptionError(`A network device has 1 to 128 pairs of queues, not ${pairs}`);
  }
  checkQueueSize(queueSize);
  checkAddress(mac);
  if (mtu !== undefined && !(mtu >= MIN_MTU && mtu <= MAX_MTU)) {
    throw new DeviceOptionError(`The MTU is from ${MIN_MTU} to ${MAX_MTU}, not ${mtu}`);
  }
  const tap = backend.type === 'tap' ? openTap(backend.ifname, pairs) : undefined;
  const closeTap = (): void => {
    for (const fd of tap?.fds ?? []) close(fd);
  };
  try {
    const server = await VduseServer.start({
      name: options.name,
      identity: netIdentity({ mac, mtu, pairs, queueSize, offloads: tap !== undefined }),
      dataPlane: { module: moduleUrl('net'), options: moduleOptions(mac, tap) },
      // Both queues of a pair are served by the same thread.
      queueGroup: 2,
      ...(options.threads !== undefined && { threads: options.threads }),
      ...(options.takeOver !== undefined && { takeOver: options.takeOver }),
    });
    server.on('state', (state) => {
      if (state === 'stopped') closeTap();
    });
    return { server, mac, ifname: tap?.name };
  } catch (error) {
    closeTap();
    throw error;
  }
}

function moduleOptions(mac: Uint8Array, tap: TapInterface | undefined): NetModuleOptions {
  return tap ? { backend: 'tap', fds: tap.fds } : { backend: 'loopback', mac };
}

function checkAddress(mac: Uint8Array): void {
  if (mac.length !== net.ETH_ALEN || ((mac[0] ?? 1) & 1) === 1 || mac.every((byte) => byte === 0)) {
    throw new DeviceOptionError('The address of a network device has six bytes, is not that of a group and not zero');
  }
}

/** An address for a device of that name: locally administered, of one device. */
function macFor(name: string): Uint8Array {
  const mac = new Uint8Array(createHash('sha256').update(name).digest().subarray(0, net.ETH_ALEN));
  mac[0] = ((mac[0] ?? 0) & 0xfc) | 0x02;
  return mac;
}

/** What a driver sees of a network device before it uses it. */
export function netIdentity(device: {
  readonly mac: Uint8Array;
  readonly mtu: number | undefined;
  readonly pairs: number;
  readonly queueSize: number;
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
  config.set(device.mac, netConfigOffset.mac);
  view.setUint16(netConfigOffset.status, net.VIRTIO_NET_S_LINK_UP, true);
  // VIRTIO_NET_F_MQ needs a control queue, which the kernel does not let a VDUSE device have. The pairs are there all the
  // same, for drivers that need not be told by that bit.
  view.setUint16(netConfigOffset.maxVirtqueuePairs, device.pairs, true);
  view.setUint16(netConfigOffset.mtu, device.mtu ?? 0, true);
  return {
    deviceId: VIRTIO_ID_NET,
    vendorId: 0,
    features: bits.reduce((features, bit) => features | (1n << bit), RING_FEATURES),
    config,
    queueCount: device.pairs * 2,
    queueSize: device.queueSize,
  };
}
