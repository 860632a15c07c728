/**
 * A management device of hardware without a known driver, from its description. In everything else it behaves like the
 * most common one, drivers/vdpa/mlx5/net/mlx5_vnet.c.
 */
import { Errno } from '../../../sys/errno.js';
import {
  VDPA_ATTR_DEV_FEATURES,
  VDPA_ATTR_DEV_NET_CFG_MACADDR,
  VDPA_ATTR_DEV_NET_CFG_MAX_VQP,
  VDPA_ATTR_DEV_NET_CFG_MTU,
} from '../../../vdpa/uapi.js';
import { VIRTIO_ID_BLOCK, VIRTIO_ID_NET } from '../../../virtio/ids.js';
import { formatMac, parseMac } from '../../../virtio/mac-address.js';
import { featureMask } from '../../../virtio/feature-mask.js';
import { Refusal } from '../../netlink/refusal.js';
import { hex64 } from '../../state/model.js';
import type { ConfigAttribute, DeviceState, HardwareManagementDevice } from '../../state/model.js';
import { negotiate } from '../virtio-driver.js';
import { attributeBit, requestedFeatures, type AddConfig } from './add-config.js';
import { blockConfigSpace, netConfigSpace } from './config-space.js';
import { writeCounters } from './counters.js';
import type { ManagementDriver, VdpaDevice } from './driver.js';
import { formatHandle } from '../../../vdpa/model.js';

const attributes: Readonly<Record<ConfigAttribute, bigint>> = {
  mac: attributeBit(VDPA_ATTR_DEV_NET_CFG_MACADDR),
  mtu: attributeBit(VDPA_ATTR_DEV_NET_CFG_MTU),
  max_vqp: attributeBit(VDPA_ATTR_DEV_NET_CFG_MAX_VQP),
  device_features: attributeBit(VDPA_ATTR_DEV_FEATURES),
};

const required = featureMask(undefined, ['VERSION_1', 'ACCESS_PLATFORM']);
const mac = featureMask(VIRTIO_ID_NET, ['MAC']);
const multiqueue = featureMask(VIRTIO_ID_NET, ['MQ']);
const controlQueue = featureMask(VIRTIO_ID_NET, ['CTRL_VQ']);

export const hardware: ManagementDriver<HardwareManagementDevice> = {
  configAttributes: (management) =>
    management.config_attributes.reduce((mask, attribute) => mask | attributes[attribute], 0n),

  add: (state, management, name, config) => {
    const handle = formatHandle(management);
    if (state.devices.filter((device) => device.mgmtdev === handle).length >= management.max_devices) {
      throw new Refusal(Errno.ENOSPC);
    }
    const chosen = requestedFeatures(config, BigInt(management.features));
    const features = chosen ?? BigInt(management.features);
    if ((features & required) !== required) throw new Refusal(Errno.EOPNOTSUPP);
    if ((config.maxVirtqueuePairs ?? 1) > Math.floor(management.max_vqs / 2)) throw new Refusal(Errno.EINVAL);
    return {
      name,
      mgmtdev: handle,
      ...(isNet(management) ? netState(management, config, features, chosen !== undefined) : {}),
    };
  },

  setMac: (state, device, address) => {
    // The address is fixed while a driver runs the device.
    const management = state.machine.mgmtdev.find((candidate) => formatHandle(candidate) === device.mgmtdev);
    if (management?.driver !== 'hardware') throw new Refusal(Errno.EOPNOTSUPP);
    const running = negotiate(device, openHardware(management, device)).features !== undefined;
    if (running) throw new Refusal(Errno.EBUSY);
    const features = BigInt(device.features ?? management.features) | mac;
    return { ...device, mac: formatMac(address), features: hex64(features) };
  },

  open: (_state, management, device) => openHardware(management, device),

  takenNames: () => [],
};

/** The configuration of a network device: what was requested, and the properties of its port. */
function netState(
  management: HardwareManagementDevice,
  config: AddConfig,
  supported: bigint,
  featuresChosen: boolean,
): Pick<DeviceState, 'mac' | 'mtu' | 'max_vqp' | 'features'> {
  const address = config.mac ?? parseMac(management.mac);
  const hasAddress = address.some((byte) => byte !== 0);
  if (!hasAddress && featuresChosen && (supported & mac) !== 0n) throw new Refusal(Errno.EINVAL);
  const features = hasAddress ? supported : supported & ~mac;
  return {
    mac: formatMac(address),
    mtu: config.mtu ?? management.mtu,
    max_vqp: config.maxVirtqueuePairs ?? 1,
    features: hex64(features),
  };
}

function isNet(management: HardwareManagementDevice): boolean {
  return management.classes[0] === VIRTIO_ID_NET;
}

function openHardware(management: HardwareManagementDevice, device: DeviceState): VdpaDevice {
  const features = BigInt(device.features ?? management.features);
  const deviceId = management.classes[0] ?? 0;
  // The control queue is counted whether or not it is offered.
  const virtqueues = isNet(management) ? 2 * (device.max_vqp ?? 1) + 1 : management.max_vqs;
  const { vstats } = management;
  return {
    deviceId,
    vendorId: management.vendor_id,
    virtqueues,
    maxVirtqueueSize: management.max_vq_size,
    minVirtqueueSize: management.min_vq_size,
    features,
    config: configSpace(management, device, deviceId),
    ...(vstats === undefined
      ? {}
      : {
          writeVendorStats: (request, buffer, queue, { negotiated, runningMs }) => {
            const pairs = (negotiated & multiqueue) === 0n ? 1 : (device.max_vqp ?? 1);
            const queues = 2 * pairs + ((negotiated & controlQueue) === 0n ? 0 : 1);
            // Of the hardware drivers of the kernel only mlx5 has counters.
            if (queue >= queues) request.refuse(Errno.EINVAL, 'mlx5_vdpa: virtqueue index is not valid');
            writeCounters(buffer, vstats, runningMs);
          },
        }),
  };
}

function configSpace(management: HardwareManagementDevice, device: DeviceState, deviceId: number): Uint8Array {
  if (deviceId === VIRTIO_ID_BLOCK) return blockConfigSpace(management.capacity, management.max_vqs);
  const { mac, mtu = management.mtu, max_vqp = 1 } = device;
  return netConfigSpace({ mac, mtu, pairs: max_vqp });
}
