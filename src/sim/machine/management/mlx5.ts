/** The driver of Mellanox and NVIDIA cards, for virtual functions and subfunctions: drivers/vdpa/mlx5/net/mlx5_vnet.c of Linux 7.3 */
import { Errno } from '../../../sys/errno.js';
import {
  VDPA_ATTR_DEV_FEATURES,
  VDPA_ATTR_DEV_NET_CFG_MACADDR,
  VDPA_ATTR_DEV_NET_CFG_MAX_VQP,
  VDPA_ATTR_DEV_NET_CFG_MTU,
} from '../../../vdpa/uapi.js';
import { formatHandle } from '../../../vdpa/model.js';
import { featureMask } from '../../../virtio/feature-mask.js';
import { VIRTIO_ID_NET } from '../../../virtio/ids.js';
import { formatMac, noMac } from '../../../virtio/mac-address.js';
import type { GenlRequest } from '../../netlink/genetlink.js';
import type { MessageBuffer } from '../../netlink/message-buffer.js';
import { Refusal } from '../../netlink/refusal.js';
import { hex64 } from '../../state/model.js';
import type { DeviceState, SimState } from '../../state/model.js';
import { negotiate } from '../virtio-driver.js';
import { attributeBit, requestedFeatures, type AddConfig } from './add-config.js';
import { isOccupied, openCard, type Card } from './card.js';
import { writeCounters } from './counters.js';
import type { ManagementDriver, QueueContext, VdpaDevice } from './driver.js';

type Mlx5Card = Card<'mlx5_vdpa'>;

const net = (...names: string[]): bigint => featureMask(VIRTIO_ID_NET, names);

const required = featureMask(undefined, ['VERSION_1', 'ACCESS_PLATFORM']);
const mergeableBuffers = net('MRG_RXBUF');
const macFeature = net('MAC');
const mtuFeature = net('MTU');
const multiqueue = net('MQ');
const controlQueue = net('CTRL_VQ');

/** mlx5_vdpa_probe(): config_attr_mask */
const configAttributes =
  attributeBit(VDPA_ATTR_DEV_NET_CFG_MACADDR) |
  attributeBit(VDPA_ATTR_DEV_NET_CFG_MAX_VQP) |
  attributeBit(VDPA_ATTR_DEV_NET_CFG_MTU) |
  attributeBit(VDPA_ATTR_DEV_FEATURES);

/** The data virtqueues that virtio_net starts on a machine with one processor. */
const startedQueues = 2;

export const mlx5: ManagementDriver<Mlx5Card> = {
  configAttributes: () => configAttributes,

  // mlx5_vdpa_dev_add(), in its order of checks
  add: (state, card, name, config) => {
    if (isOccupied(state, card)) throw new Refusal(Errno.ENOSPC);
    const chosen = requestedFeatures(config, BigInt(card.features));
    const features = chosen ?? BigInt(card.features) & ~mergeableBuffers;
    if ((features & required) !== required) throw new Refusal(Errno.EOPNOTSUPP);
    // The management device counts the control queue too.
    const dataQueues = card.max_vqs - 1;
    if (dataQueues < 2) throw new Refusal(Errno.EAGAIN);
    const pairs = config.maxVirtqueuePairs ?? 1;
    if (pairs > Math.floor(dataQueues / 2)) throw new Refusal(Errno.EINVAL);
    return {
      name,
      mgmtdev: formatHandle(card),
      max_vqp: pairs,
      mtu: (features & mtuFeature) === 0n ? 0 : (config.mtu ?? card.mtu),
      ...addressOf(card, config, features, chosen !== undefined),
    };
  },

  // mlx5_vdpa_set_attr(): the address is fixed while a driver runs the device
  setMac: (state, device, address) => {
    const card = cardOf(state, device);
    const isRunning = negotiate(device, openDevice(card, device)).features !== undefined;
    if (isRunning) throw new Refusal(Errno.EBUSY);
    return { ...device, mac: formatMac(address), features: hex64(featuresOf(card, device) | macFeature) };
  },

  open: (_state, card, device) => openDevice(card, device),

  takenNames: () => [],
};

/**
 * The address: as requested, or that of the port. Without one, the feature is removed, unless it was requested: then the
 * device is rejected.
 */
function addressOf(
  card: Mlx5Card,
  config: AddConfig,
  features: bigint,
  isChosen: boolean,
): Pick<DeviceState, 'mac' | 'features'> {
  const wantsMac = (features & macFeature) !== 0n;
  const mac = config.mac ? formatMac(config.mac) : !isChosen || wantsMac ? card.mac : noMac;
  if (mac !== noMac) return { mac, features: hex64(features) };
  if (isChosen && wantsMac) throw new Refusal(Errno.EINVAL);
  return { mac, features: hex64(features & ~macFeature) };
}

function openDevice(card: Mlx5Card, device: DeviceState): VdpaDevice {
  const pairs = device.max_vqp ?? 1;
  const hasPairs = (featuresOf(card, device) & multiqueue) !== 0n;
  return {
    ...openCard(card, device, hasPairs ? pairs : 0, 2 * pairs + 1),
    writeVendorStats: (request, buffer, queue, context) => {
      writeStats(card, pairs, request, buffer, queue, context);
    },
  };
}

/** mlx5_vdpa_get_vendor_vq_stats(): the control queue follows the last data queue. */
function writeStats(
  card: Mlx5Card,
  pairs: number,
  request: GenlRequest,
  buffer: MessageBuffer,
  queue: number,
  { negotiated, controlCommands, runningMs }: QueueContext,
): void {
  const hasControlQueue = (negotiated & controlQueue) !== 0n;
  const hasPairs = (negotiated & multiqueue) !== 0n;
  const dataQueues = hasPairs ? 2 * pairs : 2;
  if (queue > dataQueues || (queue === dataQueues && !hasControlQueue)) {
    request.refuse(Errno.EINVAL, 'mlx5_vdpa: virtqueue index is not valid');
  }
  if (queue === dataQueues) {
    // A reset clears these counters, so that they are those of the last start; with MQ virtio_net then sets the pairs.
    const commands = (controlCommands === 0n ? 0n : 1n) + (hasPairs ? 1n : 0n);
    writeCounters(buffer, { received_desc: commands, completed_desc: commands });
    return;
  }
  if (queue >= startedQueues) request.refuse(Errno.EAGAIN, 'mlx5_vdpa: failed to query hardware');
  const { received_desc = 0, completed_desc = 0 } = card.vstats ?? {};
  writeCounters(buffer, { received_desc, completed_desc }, runningMs);
}

function featuresOf(card: Mlx5Card, device: DeviceState): bigint {
  return BigInt(device.features ?? card.features);
}

function cardOf(state: SimState, device: DeviceState): Mlx5Card {
  for (const management of state.machine.mgmtdev) {
    if (management.driver === 'mlx5_vdpa' && formatHandle(management) === device.mgmtdev) {
      return { ...management, driver: management.driver };
    }
  }
  throw new Error(`the simulated device ${device.name} lost its management device ${device.mgmtdev}`);
}
