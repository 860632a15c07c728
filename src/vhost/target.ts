/** What a device says about itself before it is driven. */
import { deviceTypeName, type DeviceType } from '../virtio/classes.js';
import { Errno } from '../sys/errno.js';
import { SystemError } from '../sys/error.js';
import type { VhostVdpa } from './device.js';
import { VHOST_BACKEND_F_IOTLB_ASID } from './uapi.js';

/** A device as it was found. */
export interface Target {
  readonly deviceId: number;
  /** Undefined for a type without a name. */
  readonly type: DeviceType | undefined;
  /** The offered features, a mask. */
  readonly features: bigint;
  readonly backendFeatures: bigint;
  readonly queues: number;
  /** The largest queue size. */
  readonly queueSize: number;
  readonly addressSpaces: number;
  readonly config: Uint8Array;
}

/** Reads it. @throws SystemError */
export function readTarget(vhost: VhostVdpa): Target {
  const deviceId = vhost.deviceId();
  const backendFeatures = vhost.backendFeatures();
  const configSize = vhost.configSize();
  return {
    deviceId,
    type: deviceTypeName(deviceId),
    features: vhost.features(),
    backendFeatures,
    queues: countQueues(vhost),
    queueSize: vhost.largestQueue(),
    addressSpaces: ((backendFeatures >> VHOST_BACKEND_F_IOTLB_ASID) & 1n) === 1n ? vhost.addressSpaceCount() : 1,
    config: configSize === 0 ? new Uint8Array() : vhost.config(0, configSize),
  };
}

/** On kernels without the request, queues are counted by asking for their state. */
function countQueues(vhost: VhostVdpa): number {
  try {
    return vhost.queueCount();
  } catch (error) {
    if (!(error instanceof SystemError) || error.errno !== Errno.ENOTTY) throw error;
  }
  for (let index = 0; ; index++) {
    try {
      vhost.enable(index, false);
    } catch (error) {
      if (error instanceof SystemError && error.errno === Errno.ENOBUFS) return index;
      throw error;
    }
  }
}
