/** Numbers of rtnetlink. Mirrors include/uapi/linux/rtnetlink.h and if_addr.h. */

export const RTM_NEWADDR = 20;
export const RTM_GETADDR = 22;
export const RTM_NEWROUTE = 24;
export const RTM_GETROUTE = 26;

export const IFA_ADDRESS = 1;
export const IFA_LOCAL = 2;

export const RTA_DST = 1;
export const RTA_OIF = 4;
export const RTA_MULTIPATH = 9;

/** The origin of a route: the kernel, for an address. */
export const RTPROT_KERNEL = 2;
/** A unicast route, not to this machine or a group. */
export const RTN_UNICAST = 1;

export const RT_SCOPE_LINK = 253;

export const AF_INET = 2;
export const AF_INET6 = 10;
