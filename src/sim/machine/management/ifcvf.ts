/** The driver of Intel cards, for virtual functions: drivers/vdpa/ifcvf/ifcvf_main.c of Linux 7.3 */
import { virtioCard } from './card.js';

export const ifcvf = virtioCard<'ifcvf'>();
