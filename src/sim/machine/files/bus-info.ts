import { encodeText } from '../../../netlink/text-encoding.js';
import { BUS_INFO_MAX } from '../../../sys/ethtool.js';
import type { SimState } from '../../state/model.js';

/**
 * The parent that an interface reports: the name of its vDPA device, cut to the length of the field.
 * drivers/virtio/virtio_vdpa.c, virtio_vdpa_bus_name()
 */
export function busInfo({ devices }: SimState, netdev: string): Uint8Array | undefined {
  const owner = devices.find(
    ({ binding }) =>
      binding?.driver === 'virtio_vdpa' && binding.netdev !== undefined && `eth${binding.netdev.number}` === netdev,
  );
  return owner && encodeText(owner.name).subarray(0, BUS_INFO_MAX);
}
