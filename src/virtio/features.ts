/**
 * Names of virtio feature bits, as the uAPI headers spell them without their prefix.
 * Mirrors include/uapi/linux/virtio_config.h, virtio_ring.h, virtio_net.h and virtio_blk.h.
 */
import { VIRTIO_ID_BLOCK, VIRTIO_ID_NET } from './ids.js';

/** First and last bit that mean the same for every device type (VIRTIO_TRANSPORT_F_START and _END). */
const TRANSPORT_FIRST = 28;
const TRANSPORT_LAST = 42;

type NameTable = Readonly<Partial<Record<number, string>>>;

const TRANSPORT: NameTable = {
  28: 'RING_INDIRECT_DESC',
  29: 'RING_EVENT_IDX',
  32: 'VERSION_1',
  33: 'ACCESS_PLATFORM',
  34: 'RING_PACKED',
  35: 'IN_ORDER',
  36: 'ORDER_PLATFORM',
  37: 'SR_IOV',
  38: 'NOTIFICATION_DATA',
  39: 'NOTIF_CONFIG_DATA',
  40: 'RING_RESET',
  41: 'ADMIN_VQ',
};

/** Bits below the transport's range that legacy devices of every type may offer. */
const LEGACY: NameTable = {
  24: 'NOTIFY_ON_EMPTY',
  27: 'ANY_LAYOUT',
};

const NET: NameTable = {
  ...LEGACY,
  0: 'CSUM',
  1: 'GUEST_CSUM',
  2: 'CTRL_GUEST_OFFLOADS',
  3: 'MTU',
  5: 'MAC',
  6: 'GSO',
  7: 'GUEST_TSO4',
  8: 'GUEST_TSO6',
  9: 'GUEST_ECN',
  10: 'GUEST_UFO',
  11: 'HOST_TSO4',
  12: 'HOST_TSO6',
  13: 'HOST_ECN',
  14: 'HOST_UFO',
  15: 'MRG_RXBUF',
  16: 'STATUS',
  17: 'CTRL_VQ',
  18: 'CTRL_RX',
  19: 'CTRL_VLAN',
  20: 'CTRL_RX_EXTRA',
  21: 'GUEST_ANNOUNCE',
  22: 'MQ',
  23: 'CTRL_MAC_ADDR',
  50: 'DEVICE_STATS',
  52: 'VQ_NOTF_COAL',
  53: 'NOTF_COAL',
  54: 'GUEST_USO4',
  55: 'GUEST_USO6',
  56: 'HOST_USO',
  57: 'HASH_REPORT',
  59: 'GUEST_HDRLEN',
  60: 'RSS',
  61: 'RSC_EXT',
  62: 'STANDBY',
  63: 'SPEED_DUPLEX',
};

const BLOCK: NameTable = {
  ...LEGACY,
  0: 'BARRIER',
  1: 'SIZE_MAX',
  2: 'SEG_MAX',
  4: 'GEOMETRY',
  5: 'RO',
  6: 'BLK_SIZE',
  7: 'SCSI',
  9: 'FLUSH',
  10: 'TOPOLOGY',
  11: 'CONFIG_WCE',
  12: 'MQ',
  13: 'DISCARD',
  14: 'WRITE_ZEROES',
  16: 'SECURE_ERASE',
  17: 'ZONED',
};

const BY_DEVICE_ID: Readonly<Partial<Record<number, NameTable>>> = {
  [VIRTIO_ID_NET]: NET,
  [VIRTIO_ID_BLOCK]: BLOCK,
};

/** The bits that are set in a feature word, ascending. */
export function featureBits(features: bigint): number[] {
  const bits: number[] = [];
  let low = Number(features & 0xffff_ffffn);
  let high = Number((features >> 32n) & 0xffff_ffffn);
  for (let bit = 0; low !== 0; bit++, low >>>= 1) if (low & 1) bits.push(bit);
  for (let bit = 32; high !== 0; bit++, high >>>= 1) if (high & 1) bits.push(bit);
  return bits;
}

/**
 * The name of a feature bit for a device type, such as `MTU`, or undefined if there is none. Bits of the transport's
 * range have the same name for all device types; the others only have a name for a known type.
 *
 * Command line: `vdpa dev features show` prints these names.
 */
export function featureName(bit: number, deviceId: number | undefined): string | undefined {
  if (bit >= TRANSPORT_FIRST && bit <= TRANSPORT_LAST) return TRANSPORT[bit];
  return deviceId === undefined ? undefined : BY_DEVICE_ID[deviceId]?.[bit];
}

/**
 * The bit of a feature name, the inverse of {@link featureName}; `bit_N` names any bit by number. Case does not matter.
 *
 * Command line: `vdpa dev add … device_features NAMES` reads them.
 */
export function featureBit(name: string, deviceId: number | undefined): number | undefined {
  const numbered = /^bit_([0-9]{1,2})$/i.exec(name)?.[1];
  if (numbered !== undefined) return Number(numbered) < 64 ? Number(numbered) : undefined;
  const wanted = name.toUpperCase();
  const own = deviceId === undefined ? undefined : BY_DEVICE_ID[deviceId];
  return bitsOf(TRANSPORT).get(wanted) ?? (own && bitsOf(own).get(wanted));
}

const bitsOfTables = new Map<NameTable, ReadonlyMap<string, number>>();

/** The bits of a table by name; created on first use. */
function bitsOf(table: NameTable): ReadonlyMap<string, number> {
  let bits = bitsOfTables.get(table);
  if (bits === undefined) {
    bits = new Map(Object.entries(table).map(([bit, name]) => [name ?? '', Number(bit)]));
    bitsOfTables.set(table, bits);
  }
  return bits;
}
