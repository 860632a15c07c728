/** Encodes typed requests as attributes of the family. */
import { AttributeWriter } from '../netlink/attribute.js';
import { parseMac } from '../virtio/mac-address.js';
import { parseHandle } from './model.js';
import {
  VDPA_ATTR_DEV_FEATURES,
  VDPA_ATTR_DEV_NAME,
  VDPA_ATTR_DEV_NET_CFG_MACADDR,
  VDPA_ATTR_DEV_NET_CFG_MAX_VQP,
  VDPA_ATTR_DEV_NET_CFG_MTU,
  VDPA_ATTR_DEV_QUEUE_INDEX,
  VDPA_ATTR_MGMTDEV_BUS_NAME,
  VDPA_ATTR_MGMTDEV_DEV_NAME,
  VDPA_CMD_DEV_ATTR_SET,
  VDPA_CMD_DEV_CONFIG_GET,
  VDPA_CMD_DEV_DEL,
  VDPA_CMD_DEV_GET,
  VDPA_CMD_DEV_NEW,
  VDPA_CMD_DEV_VSTATS_GET,
  VDPA_CMD_MGMTDEV_GET,
  type VdpaCommandNumber,
} from './uapi.js';

/** Attributes of a new device. */
export interface DeviceSpec {
  readonly name: string;
  /** The handle of its management device: `vdpasim_net`, `pci/0000:03:00.2`. */
  readonly managementDevice: string;
  /** Feature bits to provision; by default chosen by the management device. */
  readonly features?: bigint;
  /** `00:11:22:33:44:55` */
  readonly mac?: string;
  /** 68 to 65535. */
  readonly mtu?: number;
  /** Virtqueue pairs, at least 1. */
  readonly maxVirtqueuePairs?: number;
}

/** Attributes of a device that can be changed after it is created. */
export interface DeviceChange {
  /** `00:11:22:33:44:55`; not multicast and not all zero. */
  readonly mac?: string;
}

/** A request to the vdpa family. Without a name, `.get` requests that can dump return all objects. */
export type VdpaRequest =
  | { readonly kind: 'mgmtdev.get'; readonly handle?: string }
  | { readonly kind: 'dev.get'; readonly name?: string }
  | { readonly kind: 'dev.config.get'; readonly name?: string }
  | { readonly kind: 'dev.vstats.get'; readonly name: string; readonly queueIndex?: number }
  | { readonly kind: 'dev.new'; readonly spec: DeviceSpec }
  | { readonly kind: 'dev.del'; readonly name: string }
  | { readonly kind: 'dev.attr.set'; readonly name: string; readonly change: DeviceChange };

/** A request for the generic netlink layer. */
export interface EncodedRequest {
  readonly command: VdpaCommandNumber;
  /** Requests all objects, in several messages. */
  readonly dump: boolean;
  readonly attributes: Uint8Array;
}

/**
 * Encodes a request of the vdpa family.
 * @throws ArgumentError if a name is longer than an attribute can be, a number does not fit its attribute, or a handle
 * or a MAC address is invalid
 */
export function encodeRequest(request: VdpaRequest): EncodedRequest {
  const writer = new AttributeWriter();
  const encoded = (command: VdpaCommandNumber, dump = false): EncodedRequest => ({
    command,
    dump,
    attributes: writer.finish(),
  });
  switch (request.kind) {
    case 'mgmtdev.get':
      if (request.handle !== undefined) putHandle(writer, request.handle);
      return encoded(VDPA_CMD_MGMTDEV_GET, request.handle === undefined);
    case 'dev.get':
      if (request.name !== undefined) writer.string(VDPA_ATTR_DEV_NAME, request.name);
      return encoded(VDPA_CMD_DEV_GET, request.name === undefined);
    case 'dev.config.get':
      if (request.name !== undefined) writer.string(VDPA_ATTR_DEV_NAME, request.name);
      return encoded(VDPA_CMD_DEV_CONFIG_GET, request.name === undefined);
    case 'dev.vstats.get':
      writer.string(VDPA_ATTR_DEV_NAME, request.name);
      if (request.queueIndex !== undefined) writer.u32(VDPA_ATTR_DEV_QUEUE_INDEX, request.queueIndex);
      return encoded(VDPA_CMD_DEV_VSTATS_GET);
    case 'dev.new':
      putDeviceSpec(writer, request.spec);
      return encoded(VDPA_CMD_DEV_NEW);
    case 'dev.del':
      writer.string(VDPA_ATTR_DEV_NAME, request.name);
      return encoded(VDPA_CMD_DEV_DEL);
    case 'dev.attr.set':
      writer.string(VDPA_ATTR_DEV_NAME, request.name);
      putMac(writer, request.change.mac);
      return encoded(VDPA_CMD_DEV_ATTR_SET);
  }
}

function putHandle(writer: AttributeWriter, handle: string): void {
  const { bus, name } = parseHandle(handle);
  if (bus !== undefined) writer.string(VDPA_ATTR_MGMTDEV_BUS_NAME, bus);
  writer.string(VDPA_ATTR_MGMTDEV_DEV_NAME, name);
}

function putMac(writer: AttributeWriter, mac: string | undefined): void {
  if (mac !== undefined) writer.bytes(VDPA_ATTR_DEV_NET_CFG_MACADDR, parseMac(mac));
}

function putDeviceSpec(writer: AttributeWriter, spec: DeviceSpec): void {
  putHandle(writer, spec.managementDevice);
  writer.string(VDPA_ATTR_DEV_NAME, spec.name);
  putMac(writer, spec.mac);
  if (spec.mtu !== undefined) writer.u16(VDPA_ATTR_DEV_NET_CFG_MTU, spec.mtu);
  if (spec.maxVirtqueuePairs !== undefined) writer.u16(VDPA_ATTR_DEV_NET_CFG_MAX_VQP, spec.maxVirtqueuePairs);
  if (spec.features !== undefined) writer.u64(VDPA_ATTR_DEV_FEATURES, spec.features);
}
