/** TUN and TAP interfaces: linux/if_tun.h. */
import { iow } from './ioctl.js';

export const TUNSETIFF = iow(0x54, 202, 4);
export const TUNSETPERSIST = iow(0x54, 203, 4);
export const TUNSETOFFLOAD = iow(0x54, 208, 4);
export const TUNSETVNETHDRSZ = iow(0x54, 216, 4);
export const TUNSETQUEUE = iow(0x54, 217, 4);
export const TUNSETVNETLE = iow(0x54, 220, 4);

export const IFF_TAP = 0x0002;
export const IFF_MULTI_QUEUE = 0x0100;
export const IFF_ATTACH_QUEUE = 0x0200;
export const IFF_DETACH_QUEUE = 0x0400;
export const IFF_NO_PI = 0x1000;
export const IFF_VNET_HDR = 0x4000;

export const TUN_F_CSUM = 0x01;
export const TUN_F_TSO4 = 0x02;
export const TUN_F_TSO6 = 0x04;
export const TUN_F_TSO_ECN = 0x08;
