/**
 * The network device's protocol. Mirrors include/uapi/linux/virtio_net.h; virtio specification, "Network Device".
 */

/** Feature bits. */
export const VIRTIO_NET_F_CSUM = 0n;
export const VIRTIO_NET_F_GUEST_CSUM = 1n;
export const VIRTIO_NET_F_MTU = 3n;
export const VIRTIO_NET_F_MAC = 5n;
export const VIRTIO_NET_F_GUEST_TSO4 = 7n;
export const VIRTIO_NET_F_GUEST_TSO6 = 8n;
export const VIRTIO_NET_F_GUEST_ECN = 9n;
export const VIRTIO_NET_F_HOST_TSO4 = 11n;
export const VIRTIO_NET_F_HOST_TSO6 = 12n;
export const VIRTIO_NET_F_HOST_ECN = 13n;
export const VIRTIO_NET_F_MRG_RXBUF = 15n;
export const VIRTIO_NET_F_STATUS = 16n;
export const VIRTIO_NET_F_MQ = 22n;

/** A bit of the status field of the configuration space. */
export const VIRTIO_NET_S_LINK_UP = 1;

/** struct virtio_net_hdr_v1, before each packet. */
export const HEADER_SIZE = 12;
/** A bit of its flags, which are the first byte: the checksum is to be completed. */
export const VIRTIO_NET_HDR_F_NEEDS_CSUM = 1;
/** Its offset of gso_type, which is a byte: what kind of segments the packet combines. */
export const HEADER_GSO_TYPE = 1;
export const VIRTIO_NET_HDR_GSO_NONE = 0;
export const VIRTIO_NET_HDR_GSO_TCPV4 = 1;
export const VIRTIO_NET_HDR_GSO_TCPV6 = 4;
/** A bit of gso_type: the packet has CWR set. */
export const VIRTIO_NET_HDR_GSO_ECN = 0x80;
/** Its offsets of hdr_len, the length of the headers of the packet, and of gso_size, the payload of a segment: u16. */
export const HEADER_HEADERS = 2;
export const HEADER_GSO_SIZE = 4;
/** Its offsets of where the checksum begins, and of its place from there: u16. */
export const HEADER_CHECKSUM_START = 6;
export const HEADER_CHECKSUM_OFFSET = 8;
/** Its offset of the number of buffers that a received packet uses: u16. */
export const HEADER_BUFFERS = 10;

/** Length in bytes of an Ethernet address, and of the header of a frame. */
export const ETH_ALEN = 6;
export const ETH_HLEN = 14;

/** The longest frame, with its header: one that combines many segments, and a VLAN tag. */
export const MAX_PACKET = HEADER_SIZE + ETH_HLEN + 4 + 65535;

/** Queue 2i receives for the driver, queue 2i + 1 sends. */
export const isReceiveQueue = (index: number): boolean => index % 2 === 0;

/** Classes and commands of the control queue, and its answers. */
export const VIRTIO_NET_CTRL_RX = 0;
export const VIRTIO_NET_CTRL_RX_PROMISC = 0;
export const VIRTIO_NET_CTRL_RX_ALLMULTI = 1;
export const VIRTIO_NET_CTRL_MAC = 1;
export const VIRTIO_NET_CTRL_MAC_ADDR_SET = 1;
export const VIRTIO_NET_CTRL_MQ = 4;
export const VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET = 0;
export const VIRTIO_NET_OK = 0;
export const VIRTIO_NET_ERR = 1;
