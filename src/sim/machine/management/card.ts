/** What the drivers of cards have in common. */
import { Errno } from '../../../sys/errno.js';
import { VDPA_ATTR_DEV_FEATURES } from '../../../vdpa/uapi.js';
import { formatHandle } from '../../../vdpa/model.js';
import { VIRTIO_ID_BLOCK } from '../../../virtio/ids.js';
import { Refusal } from '../../netlink/refusal.js';
import { cards, type CardDriver } from '../../state/card.js';
import { hex64 } from '../../state/model.js';
import type { CardManagementDevice, DeviceState, SimState } from '../../state/model.js';
import { attributeBit, requestedFeatures } from './add-config.js';
import { blockConfigSpace, netConfigSpace } from './config-space.js';
import type { ManagementDriver, VdpaDevice } from './driver.js';

/** The management device of a card with this driver. */
export type Card<D extends CardDriver = CardDriver> = CardManagementDevice & { readonly driver: D };

/** Whether the card has a device already. */
export function isOccupied(state: SimState, card: Card): boolean {
  const handle = formatHandle(card);
  return state.devices.some(({ mgmtdev }) => mgmtdev === handle);
}

/** The device as far as all drivers agree. @param pairs of a network device */
export function openCard(card: Card, device: DeviceState, pairs: number, virtqueues: number): VdpaDevice {
  const deviceId = card.classes[0] ?? 0;
  const { mac, mtu = card.mtu } = device;
  return {
    deviceId,
    vendorId: card.vendor_id,
    virtqueues,
    maxVirtqueueSize: card.max_vq_size,
    minVirtqueueSize: cards[card.driver].minVirtqueueSize,
    features: BigInt(device.features ?? card.features),
    config:
      deviceId === VIRTIO_ID_BLOCK
        ? blockConfigSpace(card.capacity, card.max_vqs)
        : netConfigSpace({ mac, mtu, pairs }),
  };
}

/**
 * A driver of a card that is a virtio device itself: only its features can be chosen, and its configuration space is the
 * card's. The driver accepts any number of devices, although they are all the same one.
 * @param required without these features, a device is rejected with EOPNOTSUPP
 */
export function virtioCard<D extends CardDriver>(required = 0n): ManagementDriver<Card<D>> {
  return {
    configAttributes: () => attributeBit(VDPA_ATTR_DEV_FEATURES),

    add: (_state, card, name, config) => {
      const features = requestedFeatures(config, BigInt(card.features)) ?? BigInt(card.features);
      if ((features & required) !== required) throw new Refusal(Errno.EOPNOTSUPP);
      return { name, mgmtdev: formatHandle(card), features: hex64(features) };
    },

    // A pair is two virtqueues; an odd one is the control queue.
    open: (_state, card, device) =>
      openCard(card, { ...device, mac: card.mac }, Math.max(1, Math.floor(card.max_vqs / 2)), card.max_vqs),

    takenNames: () => [],
  };
}
