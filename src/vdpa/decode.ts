/** From the family's attributes to the model. */
import type { AttributeList } from '../netlink/attribute.js';
import { littleEndian, viewOf } from '../netlink/bytes.js';
import { NetlinkProtocolError } from '../netlink/error.js';
import { decodeText } from '../netlink/text.js';
import { VIRTIO_ID_BLOCK, VIRTIO_ID_NET } from '../virtio/ids.js';
import type {
  BlockConfig,
  DeviceConfig,
  ManagementDevice,
  ManagementDeviceHandle,
  NetConfig,
  VdpaDevice,
  VendorCounter,
  VendorStats,
} from './model.js';
import * as uapi from './uapi.js';

/** A value under its key, or nothing where the kernel did not send it. */
function optional<K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> {
  return value === undefined ? {} : ({ [key]: value } as Record<K, V>);
}

function required<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new NetlinkProtocolError(`the kernel's answer lacks ${name}`);
  return value;
}

function decodeHandle(attributes: AttributeList): ManagementDeviceHandle {
  const name = required(attributes.string(uapi.VDPA_ATTR_MGMTDEV_DEV_NAME), 'VDPA_ATTR_MGMTDEV_DEV_NAME');
  const bus = attributes.string(uapi.VDPA_ATTR_MGMTDEV_BUS_NAME);
  return bus === undefined ? { name } : { bus, name };
}

/**
 * Decodes an answer to VDPA_CMD_MGMTDEV_GET.
 * @throws NetlinkProtocolError if the name is missing or an attribute has a wrong length
 */
export function decodeManagementDevice(attributes: AttributeList): ManagementDevice {
  return {
    ...decodeHandle(attributes),
    ...optional('supportedClasses', attributes.u64(uapi.VDPA_ATTR_MGMTDEV_SUPPORTED_CLASSES)),
    ...optional('maxVirtqueues', attributes.u32(uapi.VDPA_ATTR_DEV_MGMTDEV_MAX_VQS)),
    ...optional('supportedFeatures', attributes.u64(uapi.VDPA_ATTR_DEV_SUPPORTED_FEATURES)),
  };
}

/**
 * Decodes an answer to VDPA_CMD_DEV_GET.
 * @throws NetlinkProtocolError if the device's name or id, or its management device, is missing, or an attribute has a wrong length
 */
export function decodeDevice(attributes: AttributeList): VdpaDevice {
  return {
    name: decodeName(attributes),
    managementDevice: decodeHandle(attributes),
    deviceId: decodeDeviceId(attributes),
    ...optional('vendorId', attributes.u32(uapi.VDPA_ATTR_DEV_VENDOR_ID)),
    ...optional('maxVirtqueues', attributes.u32(uapi.VDPA_ATTR_DEV_MAX_VQS)),
    ...optional('maxVirtqueueSize', attributes.u16(uapi.VDPA_ATTR_DEV_MAX_VQ_SIZE)),
    ...optional('minVirtqueueSize', attributes.u16(uapi.VDPA_ATTR_DEV_MIN_VQ_SIZE)),
  };
}

/**
 * Decodes an answer to VDPA_CMD_DEV_CONFIG_GET.
 * @throws NetlinkProtocolError if the device's name or id is missing or an attribute has a wrong length
 */
export function decodeDeviceConfig(attributes: AttributeList): DeviceConfig {
  const deviceId = decodeDeviceId(attributes);
  const base = {
    name: decodeName(attributes),
    deviceId,
    ...optional('deviceFeatures', attributes.u64(uapi.VDPA_ATTR_DEV_FEATURES)),
    ...optional('negotiatedFeatures', attributes.u64(uapi.VDPA_ATTR_DEV_NEGOTIATED_FEATURES)),
  };
  switch (deviceId) {
    case VIRTIO_ID_NET:
      return { ...base, kind: 'net', ...decodeNetFields(attributes) };
    case VIRTIO_ID_BLOCK:
      return { ...base, kind: 'block', ...decodeBlockFields(attributes) };
    default:
      return { ...base, kind: 'other' };
  }
}

/**
 * Decodes an answer to VDPA_CMD_DEV_VSTATS_GET.
 * @throws NetlinkProtocolError if the device's name or id is missing, a counter has no value, or an attribute has a wrong length
 */
export function decodeVendorStats(attributes: AttributeList): VendorStats {
  return {
    name: decodeName(attributes),
    deviceId: decodeDeviceId(attributes),
    ...optional('negotiatedFeatures', attributes.u64(uapi.VDPA_ATTR_DEV_NEGOTIATED_FEATURES)),
    ...optional('maxVirtqueuePairs', attributes.u16(uapi.VDPA_ATTR_DEV_NET_CFG_MAX_VQP)),
    ...optional('queueIndex', attributes.u32(uapi.VDPA_ATTR_DEV_QUEUE_INDEX)),
    counters: decodeCounters(attributes),
  };
}

function decodeName(attributes: AttributeList): string {
  return required(attributes.string(uapi.VDPA_ATTR_DEV_NAME), 'VDPA_ATTR_DEV_NAME');
}

function decodeDeviceId(attributes: AttributeList): number {
  return required(attributes.u32(uapi.VDPA_ATTR_DEV_ID), 'VDPA_ATTR_DEV_ID');
}

function decodeNetFields(attributes: AttributeList): Partial<NetConfig> {
  return {
    ...optional('mac', attributes.bytes(uapi.VDPA_ATTR_DEV_NET_CFG_MACADDR)),
    ...optional('status', attributes.u16(uapi.VDPA_ATTR_DEV_NET_STATUS)),
    ...optional('maxVirtqueuePairs', attributes.u16(uapi.VDPA_ATTR_DEV_NET_CFG_MAX_VQP)),
    ...optional('mtu', attributes.u16(uapi.VDPA_ATTR_DEV_NET_CFG_MTU)),
  };
}

function decodeBlockFields(attributes: AttributeList): Partial<BlockConfig> {
  return {
    ...optional('capacity', attributes.u64(uapi.VDPA_ATTR_DEV_BLK_CFG_CAPACITY)),
    ...optional('blockSize', attributes.u32(uapi.VDPA_ATTR_DEV_BLK_CFG_BLK_SIZE)),
    ...optional('maxSegmentSize', attributes.u32(uapi.VDPA_ATTR_DEV_BLK_CFG_SIZE_MAX)),
    ...optional('maxSegments', attributes.u32(uapi.VDPA_ATTR_DEV_BLK_CFG_SEG_MAX)),
    ...optional('queues', attributes.u16(uapi.VDPA_ATTR_DEV_BLK_CFG_NUM_QUEUES)),
    ...optional('topology', decodeTopology(attributes)),
    ...optional('discard', decodeDiscard(attributes)),
    ...optional('writeZeroes', decodeWriteZeroes(attributes)),
    ...optional('readOnly', decodeBoolean(attributes, uapi.VDPA_ATTR_DEV_BLK_READ_ONLY)),
    ...optional('flush', decodeBoolean(attributes, uapi.VDPA_ATTR_DEV_BLK_FLUSH)),
  };
}

function decodeBoolean(attributes: AttributeList, type: number): boolean | undefined {
  const value = attributes.u8(type);
  return value === undefined ? undefined : value !== 0;
}

function decodeTopology(attributes: AttributeList): BlockConfig['topology'] {
  const physicalBlockExponent = attributes.u8(uapi.VDPA_ATTR_DEV_BLK_CFG_PHY_BLK_EXP);
  if (physicalBlockExponent === undefined) return undefined;
  return {
    physicalBlockExponent,
    alignmentOffset: required(
      attributes.u8(uapi.VDPA_ATTR_DEV_BLK_CFG_ALIGN_OFFSET),
      'VDPA_ATTR_DEV_BLK_CFG_ALIGN_OFFSET',
    ),
    minIoSize: required(attributes.u16(uapi.VDPA_ATTR_DEV_BLK_CFG_MIN_IO_SIZE), 'VDPA_ATTR_DEV_BLK_CFG_MIN_IO_SIZE'),
    optimalIoSize: required(
      attributes.u32(uapi.VDPA_ATTR_DEV_BLK_CFG_OPT_IO_SIZE),
      'VDPA_ATTR_DEV_BLK_CFG_OPT_IO_SIZE',
    ),
  };
}

function decodeDiscard(attributes: AttributeList): BlockConfig['discard'] {
  const maxSectors = attributes.u32(uapi.VDPA_ATTR_DEV_BLK_CFG_MAX_DISCARD_SEC);
  if (maxSectors === undefined) return undefined;
  return {
    maxSectors,
    maxSegments: required(
      attributes.u32(uapi.VDPA_ATTR_DEV_BLK_CFG_MAX_DISCARD_SEG),
      'VDPA_ATTR_DEV_BLK_CFG_MAX_DISCARD_SEG',
    ),
    sectorAlignment: required(
      attributes.u32(uapi.VDPA_ATTR_DEV_BLK_CFG_DISCARD_SEC_ALIGN),
      'VDPA_ATTR_DEV_BLK_CFG_DISCARD_SEC_ALIGN',
    ),
  };
}

function decodeWriteZeroes(attributes: AttributeList): BlockConfig['writeZeroes'] {
  const maxSectors = attributes.u32(uapi.VDPA_ATTR_DEV_BLK_CFG_MAX_WRITE_ZEROES_SEC);
  if (maxSectors === undefined) return undefined;
  return {
    maxSectors,
    maxSegments: required(
      attributes.u32(uapi.VDPA_ATTR_DEV_BLK_CFG_MAX_WRITE_ZEROES_SEG),
      'VDPA_ATTR_DEV_BLK_CFG_MAX_WRITE_ZEROES_SEG',
    ),
  };
}

/** A counter is a name and, behind it, its value; a queue has many. */
function decodeCounters(attributes: AttributeList): VendorCounter[] {
  const counters: VendorCounter[] = [];
  let name: string | undefined;
  for (const { type, payload } of attributes) {
    if (type === uapi.VDPA_ATTR_DEV_VENDOR_ATTR_NAME) {
      name = decodeText(payload.subarray(0, payload.at(-1) === 0 ? -1 : undefined));
    } else if (type === uapi.VDPA_ATTR_DEV_VENDOR_ATTR_VALUE) {
      if (payload.length !== 8) throw new NetlinkProtocolError('the kernel sent a counter that is not 64 bits wide');
      const value = viewOf(payload).getBigUint64(0, littleEndian);
      counters.push({ name: required(name, 'VDPA_ATTR_DEV_VENDOR_ATTR_NAME'), value });
      name = undefined;
    }
  }
  return counters;
}
