/** The driver of any virtio PCI device: drivers/vdpa/virtio_pci/vp_vdpa.c of Linux 7.3 */
import { virtioCard } from './card.js';

export const vpVdpa = virtioCard<'vp_vdpa'>();
