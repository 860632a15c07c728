/** The driver of Marvell Octeon cards, for virtual functions: drivers/vdpa/octeon_ep/octep_vdpa_main.c of Linux 7.3 */
import { featureMask } from '../../../virtio/feature-mask.js';
import { virtioCard } from './card.js';

/** octep_verify_features() */
const required = featureMask(undefined, ['VERSION_1', 'NOTIFICATION_DATA', 'RING_PACKED']);

export const octep = virtioCard<'octep_vdpa'>(required);
