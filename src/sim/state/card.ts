/** Cards, whose management devices have one of the kernel's hardware drivers. */
import { VIRTIO_ID_BLOCK, VIRTIO_ID_NET } from '../../virtio/ids.js';

/**
 * The hardware drivers of Linux 7.3 with management devices, by module: drivers/vdpa. Those of SolidRun and Alibaba,
 * snet_vdpa and eni_vdpa, have none: they register a device of their own, which the vdpa family does not report.
 */
export type CardDriver = 'mlx5_vdpa' | 'pds_vdpa' | 'octep_vdpa' | 'ifcvf' | 'vp_vdpa';

/** A key of a description that only some drivers leave to the card. */
export type CardProperty = 'supported_classes' | 'vendor_id' | 'max_vq_size' | 'mac' | 'mtu' | 'capacity' | 'vstats';

/** What a driver defines, and what it leaves to the card. */
export interface CardFacts {
  /** The types of devices that it supports, as virtio device ids; the first one is the default. */
  readonly classes: readonly number[];
  /** get_vendor_id() */
  readonly vendorId: number;
  /** get_vq_num_min() */
  readonly minVirtqueueSize: number;
  /** get_vq_num_max() */
  readonly maxVirtqueueSize: number;
  /** Properties of the card that a description may have. */
  readonly described: readonly CardProperty[];
}

/** include/linux/pci_ids.h, include/linux/pds/pds_core_if.h, include/uapi/linux/virtio_ids.h */
const vendor = { mellanox: 0x15b3, pensando: 0x1dd8, cavium: 0x177d, intel: 0x8086, redHat: 0x1af4 };

const usualSize = 256;

export const cards: Readonly<Record<CardDriver, CardFacts>> = {
  // mlx5/net/mlx5_vnet.c: MLX5_VDPA_MAX_VQ_ENTRIES
  mlx5_vdpa: {
    classes: [VIRTIO_ID_NET],
    vendorId: vendor.mellanox,
    minVirtqueueSize: 1,
    maxVirtqueueSize: 256,
    described: ['mac', 'mtu', 'vstats'],
  },
  // pds/vdpa_dev.c: pds_vdpa_get_vq_num_max() is what the firmware says, at most 1024
  pds_vdpa: {
    classes: [VIRTIO_ID_NET],
    vendorId: vendor.pensando,
    minVirtqueueSize: 1,
    maxVirtqueueSize: usualSize,
    described: ['max_vq_size', 'mac', 'mtu'],
  },
  // octeon_ep/octep_vdpa_main.c
  octep_vdpa: {
    classes: [VIRTIO_ID_NET],
    vendorId: vendor.cavium,
    minVirtqueueSize: 1,
    maxVirtqueueSize: usualSize,
    described: ['max_vq_size', 'mac', 'mtu'],
  },
  // ifcvf/ifcvf_main.c: the vendor is the subsystem's, which the table of devices requires to be Intel; IFCVF_MIN_VQ_SIZE
  ifcvf: {
    classes: [VIRTIO_ID_NET, VIRTIO_ID_BLOCK],
    vendorId: vendor.intel,
    minVirtqueueSize: 64,
    maxVirtqueueSize: usualSize,
    described: ['supported_classes', 'max_vq_size', 'mac', 'mtu', 'capacity'],
  },
  // virtio_pci/vp_vdpa.c: the vendor of the virtio device; VP_VDPA_QUEUE_MAX
  vp_vdpa: {
    classes: [VIRTIO_ID_NET, VIRTIO_ID_BLOCK],
    vendorId: vendor.redHat,
    minVirtqueueSize: 1,
    maxVirtqueueSize: 256,
    described: ['supported_classes', 'vendor_id', 'mac', 'mtu', 'capacity'],
  },
};

/** Whether a driver is that of a card. */
export function isCardDriver(driver: string): driver is CardDriver {
  return Object.hasOwn(cards, driver);
}
