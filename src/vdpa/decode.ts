/** Decodes the family's attributes into the model. */
import type { AttributeList } from '../netlink/attribute.js';
import { littleEndian, viewOf } from '../netlink/bytes.js';
import { NetlinkProtocolError } from '../netlink/error.js';
import { decodeText } from '../netlink/text-encoding.js';
import { formatMac } from '../virtio/mac-address.js';
import { VIRTIO_ID_BLOCK, VIRTIO_ID_NET } from '../virtio/ids.js';
import type {
  BlockConfig,
  DeviceConfig,
  ManagementDevice,
  NetConfig,
  OtherConfig,
  VdpaDevice,
  VendorCounter,
  VendorStats,
} from './model.js';
import { formatHandle } from './model.js';
import * as uapi from './uapi.js';

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Sets a property if the kernel sent a value for it. */
function put<Key extends string, Value>(target: Partial<Record<Key, Value>>, key: Key, value: Value | undefined): void {
  if (value !== undefined) target[key] = value;
}

function required<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new NetlinkProtocolError(`the kernel's answer lacks ${name}`);
  return value;
}

function decodeHandle(attributes: AttributeList): string {
  const name = required(attributes.string(uapi.VDPA_ATTR_MGMTDEV_DEV_NAME), 'VDPA_ATTR_MGMTDEV_DEV_NAME');
  const bus = attributes.string(uapi.VDPA_ATTR_MGMTDEV_BUS_NAME);
  return formatHandle(bus === undefined ? { name } : { bus, name });
}

/**
 * Decodes an answer to VDPA_CMD_MGMTDEV_GET.
 * @throws NetlinkProtocolError if the name is missing or an attribute has a wrong length
 */
export function decodeManagementDevice(attributes: AttributeList): ManagementDevice {
  const device: Mutable<ManagementDevice> = { handle: decodeHandle(attributes) };
  put(device, 'supportedClasses', attributes.u64(uapi.VDPA_ATTR_MGMTDEV_SUPPORTED_CLASSES));
  put(device, 'maxVirtqueues', attributes.u32(uapi.VDPA_ATTR_DEV_MGMTDEV_MAX_VQS));
  put(device, 'supportedFeatures', attributes.u64(uapi.VDPA_ATTR_DEV_SUPPORTED_FEATURES));
  return device;
}

/**
 * Decodes an answer to VDPA_CMD_DEV_GET.
 * @throws NetlinkProtocolError if the device's name or id, or its management device, is missing, or an attribute has a
 * wrong length
 */
export function decodeDevice(attributes: AttributeList): VdpaDevice {
  // In the kernel's order, which is fastest.
  const managementDevice = decodeHandle(attributes);
  const name = decodeName(attributes);
  const deviceId = decodeDeviceId(attributes);
  const vendorId = attributes.u32(uapi.VDPA_ATTR_DEV_VENDOR_ID);
  const maxVirtqueues = attributes.u32(uapi.VDPA_ATTR_DEV_MAX_VQS);
  const maxVirtqueueSize = attributes.u16(uapi.VDPA_ATTR_DEV_MAX_VQ_SIZE);
  const minVirtqueueSize = attributes.u16(uapi.VDPA_ATTR_DEV_MIN_VQ_SIZE);
  if (
    vendorId !== undefined &&
    maxVirtqueues !== undefined &&
    maxVirtqueueSize !== undefined &&
    minVirtqueueSize !== undefined
  ) {
    // The usual case of current kernels: created in one expression, a device takes half the memory.
    return { name, managementDevice, deviceId, vendorId, maxVirtqueues, maxVirtqueueSize, minVirtqueueSize };
  }
  const device: Mutable<VdpaDevice> = { name, managementDevice, deviceId };
  put(device, 'vendorId', vendorId);
  put(device, 'maxVirtqueues', maxVirtqueues);
  put(device, 'maxVirtqueueSize', maxVirtqueueSize);
  put(device, 'minVirtqueueSize', minVirtqueueSize);
  return device;
}

/**
 * Decodes an answer to VDPA_CMD_DEV_CONFIG_GET.
 * @throws NetlinkProtocolError if the device's name or id is missing or an attribute has a wrong length
 */
export function decodeDeviceConfig(attributes: AttributeList): DeviceConfig {
  const config = emptyConfig(decodeName(attributes), decodeDeviceId(attributes));
  put(config, 'deviceFeatures', attributes.u64(uapi.VDPA_ATTR_DEV_FEATURES));
  put(config, 'negotiatedFeatures', attributes.u64(uapi.VDPA_ATTR_DEV_NEGOTIATED_FEATURES));
  if (config.kind === 'net') decodeNetFields(attributes, config);
  else if (config.kind === 'block') decodeBlockFields(attributes, config);
  return config;
}

function emptyConfig(name: string, deviceId: number): Mutable<NetConfig> | Mutable<BlockConfig> | Mutable<OtherConfig> {
  switch (deviceId) {
    case VIRTIO_ID_NET:
      return { name, deviceId, kind: 'net' };
    case VIRTIO_ID_BLOCK:
      return { name, deviceId, kind: 'block' };
    default:
      return { name, deviceId, kind: 'other' };
  }
}

/**
 * Decodes an answer to VDPA_CMD_DEV_VSTATS_GET.
 * @throws NetlinkProtocolError if the device's name or id is missing, a counter has no value, or an attribute has a
 * wrong length
 */
export function decodeVendorStats(attributes: AttributeList): VendorStats {
  const stats: Mutable<VendorStats> = {
    name: decodeName(attributes),
    deviceId: decodeDeviceId(attributes),
    counters: decodeCounters(attributes),
  };
  put(stats, 'negotiatedFeatures', attributes.u64(uapi.VDPA_ATTR_DEV_NEGOTIATED_FEATURES));
  put(stats, 'maxVirtqueuePairs', attributes.u16(uapi.VDPA_ATTR_DEV_NET_CFG_MAX_VQP));
  put(stats, 'queueIndex', attributes.u32(uapi.VDPA_ATTR_DEV_QUEUE_INDEX));
  return stats;
}

function decodeName(attributes: AttributeList): string {
  return required(attributes.string(uapi.VDPA_ATTR_DEV_NAME), 'VDPA_ATTR_DEV_NAME');
}

function decodeDeviceId(attributes: AttributeList): number {
  return required(attributes.u32(uapi.VDPA_ATTR_DEV_ID), 'VDPA_ATTR_DEV_ID');
}

function decodeNetFields(attributes: AttributeList, config: Mutable<NetConfig>): void {
  if (config.deviceFeatures === undefined) {
    put(config, 'deviceFeatures', attributes.u64(uapi.VDPA_ATTR_VDPA_DEV_SUPPORTED_FEATURES));
  }
  const mac = attributes.bytes(uapi.VDPA_ATTR_DEV_NET_CFG_MACADDR);
  if (mac) config.mac = formatMac(mac);
  put(config, 'status', attributes.u16(uapi.VDPA_ATTR_DEV_NET_STATUS));
  put(config, 'maxVirtqueuePairs', attributes.u16(uapi.VDPA_ATTR_DEV_NET_CFG_MAX_VQP));
  put(config, 'mtu', attributes.u16(uapi.VDPA_ATTR_DEV_NET_CFG_MTU));
}

function decodeBlockFields(attributes: AttributeList, config: Mutable<BlockConfig>): void {
  put(config, 'capacity', attributes.u64(uapi.VDPA_ATTR_DEV_BLK_CFG_CAPACITY));
  put(config, 'blockSize', attributes.u32(uapi.VDPA_ATTR_DEV_BLK_CFG_BLK_SIZE));
  put(config, 'maxSegmentSize', attributes.u32(uapi.VDPA_ATTR_DEV_BLK_CFG_SIZE_MAX));
  put(config, 'maxSegments', attributes.u32(uapi.VDPA_ATTR_DEV_BLK_CFG_SEG_MAX));
  put(config, 'queues', attributes.u16(uapi.VDPA_ATTR_DEV_BLK_CFG_NUM_QUEUES));
  put(config, 'topology', decodeTopology(attributes));
  put(config, 'discard', decodeDiscard(attributes));
  put(config, 'writeZeroes', decodeWriteZeroes(attributes));
  put(config, 'readOnly', decodeBoolean(attributes, uapi.VDPA_ATTR_DEV_BLK_READ_ONLY));
  put(config, 'flush', decodeBoolean(attributes, uapi.VDPA_ATTR_DEV_BLK_FLUSH));
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

/** A counter is a name followed by its value; a queue has many. */
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
