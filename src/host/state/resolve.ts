/** Checks a desired device against its management device. */
import { deviceClasses } from '../../virtio/classes.js';
import { featureBit } from '../../virtio/features.js';
import { VIRTIO_ID_BLOCK, VIRTIO_ID_NET } from '../../virtio/ids.js';
import { VIRTIO_NET_F_MAC, VIRTIO_NET_F_MQ, VIRTIO_NET_F_MTU } from '../../virtio/net.js';
import type { ManagementDevice } from '../../vdpa/model.js';
import { nameFeatures } from './actual.js';
import type { NewDevice } from './change.js';
import { resolveNode, type Accounts } from './node.js';
import { VDUSE } from './servers.js';
import type { DesiredDevice } from './desired.js';

/** Reports why a device cannot be made to match the file, at one of its keys. */
export type Refuse = (key: string, reason: string) => void;

/** Resolves the names in a desired device to numbers. @param accounts undefined on a machine without nodes */
export function resolve(
  desired: DesiredDevice,
  management: ManagementDevice,
  accounts: Accounts | undefined,
  refuse: Refuse,
): NewDevice {
  const { name, managementDevice, mac, mtu, maxVirtqueuePairs, driver, node } = desired;
  const classes = deviceClasses(management.supportedClasses ?? 0n);
  const typeId = desired.type && (desired.type === 'net' ? VIRTIO_ID_NET : VIRTIO_ID_BLOCK);
  if (desired.type && typeId !== undefined && !classes.includes(typeId)) {
    refuse('type', `${management.handle} does not support ${desired.type} devices`);
  }
  const deviceId = typeId ?? (classes.length === 1 ? classes[0] : undefined);
  let features = desired.features && 0n;
  for (const [index, word] of desired.features?.entries() ?? []) {
    const bit = featureBit(word, deviceId);
    if (bit === undefined) refuse(`device_features/${index}`, `unknown feature ${word}`);
    else features = (features ?? 0n) | (1n << BigInt(bit));
  }
  return {
    spec: {
      name,
      managementDevice,
      ...(mac && { mac }),
      ...(mtu !== undefined && { mtu }),
      ...(maxVirtqueuePairs !== undefined && { maxVirtqueuePairs }),
      ...(features !== undefined && { features }),
    },
    deviceId: typeId,
    ...(desired.server && { server: desired.server }),
    ...(driver !== undefined && { driver }),
    ...(node && accounts && { node: resolveNode(node, accounts, refuse) }),
  };
}

/**
 * Checks that a management device supports a device: the checks of the kernel's core and of the drivers
 * (vdpa_nl_cmd_dev_add_set_doit, and the dev_add of each driver).
 */
export function checkNew({ spec }: NewDevice, management: ManagementDevice, refuse: Refuse): void {
  const handle = management.handle;
  // The server determines the properties of such a device.
  if (handle === VDUSE) return;
  const { mac, mtu, maxVirtqueuePairs: pairs, features } = spec;
  const ofNet = { mac, mtu, max_vqp: pairs };
  if (!deviceClasses(management.supportedClasses ?? 0n).includes(VIRTIO_ID_NET)) {
    for (const [key, value] of Object.entries(ofNet)) {
      if (value !== undefined) refuse(key, `is only supported for net devices, which ${handle} does not provide`);
    }
    // Features have other names there.
    checkOffered(features, management, undefined, refuse);
    return;
  }
  // Drivers that do not report their number of queues have 0 here.
  const queues = management.maxVirtqueues ?? 0;
  if (pairs !== undefined && queues > 0 && pairs * 2 > queues) {
    refuse('max_vqp', `${handle} has ${queues} virtqueues: ${pairs} pairs need ${pairs * 2}`);
  }
  checkOffered(features, management, VIRTIO_ID_NET, refuse);
  if (features === undefined) return;
  const needs = (bit: bigint, key: string): void => {
    if ((features >> bit) % 2n === 1n) return;
    refuse('device_features', `lacks ${nameFeatures(1n << bit, VIRTIO_ID_NET).join()}, which ${key} requires`);
  };
  if (mac) needs(VIRTIO_NET_F_MAC, 'mac');
  if (mtu !== undefined) needs(VIRTIO_NET_F_MTU, 'mtu');
  if (pairs !== undefined && pairs > 1) needs(VIRTIO_NET_F_MQ, 'max_vqp');
}

function checkOffered(
  features: bigint | undefined,
  management: ManagementDevice,
  deviceId: number | undefined,
  refuse: Refuse,
): void {
  // Drivers that do not report their features have 0 here.
  const offered = management.supportedFeatures ?? 0n;
  if (features === undefined || offered === 0n) return;
  const missing = features & ~offered;
  if (missing === 0n) return;
  const names = nameFeatures(missing, deviceId ?? deviceClasses(management.supportedClasses ?? 0n)[0] ?? 0);
  refuse('device_features', `${management.handle} does not offer ${names.join(', ')}`);
}
