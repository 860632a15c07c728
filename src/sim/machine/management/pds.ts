/** The driver of AMD/Pensando cards, for virtual functions: drivers/vdpa/pds/vdpa_dev.c of Linux 7.3 */
import { Errno } from '../../../sys/errno.js';
import {
  VDPA_ATTR_DEV_FEATURES,
  VDPA_ATTR_DEV_NET_CFG_MACADDR,
  VDPA_ATTR_DEV_NET_CFG_MAX_VQP,
} from '../../../vdpa/uapi.js';
import { formatHandle } from '../../../vdpa/model.js';
import { featureMask } from '../../../virtio/feature-mask.js';
import { VIRTIO_ID_NET } from '../../../virtio/ids.js';
import { formatMac, noMac, randomMac } from '../../../virtio/mac-address.js';
import { Refusal } from '../../netlink/refusal.js';
import { hex64 } from '../../state/model.js';
import { attributeBit } from './add-config.js';
import { isOccupied, openCard, type Card } from './card.js';
import type { ManagementDriver } from './driver.js';

const macFeature = featureMask(VIRTIO_ID_NET, ['MAC']);
const controlQueue = featureMask(VIRTIO_ID_NET, ['CTRL_VQ']);

/** pds_vdpa_get_mgmt_info(): config_attr_mask */
const configAttributes =
  attributeBit(VDPA_ATTR_DEV_NET_CFG_MACADDR) |
  attributeBit(VDPA_ATTR_DEV_NET_CFG_MAX_VQP) |
  attributeBit(VDPA_ATTR_DEV_FEATURES);

export const pds: ManagementDriver<Card<'pds_vdpa'>> = {
  configAttributes: () => configAttributes,

  // pds_vdpa_dev_add(): without max_vqp as many pairs as there are, which fails if no queue is left for control
  add: (state, card, name, config) => {
    if (isOccupied(state, card)) throw new Refusal(Errno.EOPNOTSUPP);
    const supported = BigInt(card.features);
    const features = config.features ?? supported;
    if ((features & ~supported) !== 0n) throw new Refusal(Errno.EOPNOTSUPP);
    const pairs = config.maxVirtqueuePairs ?? Math.floor(card.max_vqs / 2);
    if (queuesOf(pairs, features) > card.max_vqs) throw new Refusal(Errno.ENOSPC);
    const isMissing = card.mac === noMac && (features & macFeature) !== 0n;
    const own = isMissing ? randomMac() : card.mac;
    return {
      name,
      mgmtdev: formatHandle(card),
      mac: config.mac ? formatMac(config.mac) : own,
      max_vqp: pairs,
      features: hex64(features),
    };
  },

  open: (_state, card, device) => {
    const pairs = device.max_vqp ?? 1;
    return openCard(card, device, pairs, queuesOf(pairs, BigInt(device.features ?? card.features)));
  },

  takenNames: () => [],
};

function queuesOf(pairs: number, features: bigint): number {
  return 2 * pairs + ((features & controlQueue) === 0n ? 0 : 1);
}
