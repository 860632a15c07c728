import { AttributeList } from './attribute.js';
import { NetlinkProtocolError } from './error.js';
import {
  CTRL_ATTR_FAMILY_ID,
  CTRL_ATTR_FAMILY_NAME,
  CTRL_ATTR_HDRSIZE,
  CTRL_ATTR_MAXATTR,
  CTRL_ATTR_MCAST_GROUPS,
  CTRL_ATTR_MCAST_GRP_ID,
  CTRL_ATTR_MCAST_GRP_NAME,
  CTRL_ATTR_OPS,
  CTRL_ATTR_OP_FLAGS,
  CTRL_ATTR_OP_ID,
  CTRL_ATTR_VERSION,
  GENL_ID_CTRL,
} from './genl-constants.js';

/** A generic netlink family, as described by the kernel's controller. */
export interface GenlFamily {
  /** The message type of its messages. The kernel assigns it when the family is registered. */
  readonly id: number;
  readonly name: string;
  readonly version: number;
  /** Length of the family's own header after genlmsghdr, in bytes; usually 0. */
  readonly headerSize: number;
  /** Its highest attribute type; 0 if each operation has its own. */
  readonly maxAttribute: number;
  readonly operations: readonly GenlOperation[];
  readonly multicastGroups: readonly GenlMulticastGroup[];
}

/** An operation of a family. */
export interface GenlOperation {
  readonly command: number;
  /** GENL_ADMIN_PERM, GENL_CMD_CAP_DO, GENL_CMD_CAP_DUMP, GENL_CMD_CAP_HASPOL, GENL_UNS_ADMIN_PERM. */
  readonly flags: number;
}

/** A multicast group of a family. */
export interface GenlMulticastGroup {
  readonly name: string;
  /** The number that a socket joins (NETLINK_ADD_MEMBERSHIP). */
  readonly id: number;
}

/** The controller, which is used to find all other families. Its id never changes; version 1 is sufficient. */
export const controlFamily: GenlFamily = {
  id: GENL_ID_CTRL,
  name: 'nlctrl',
  version: 1,
  headerSize: 0,
  maxAttribute: 10,
  operations: [],
  multicastGroups: [],
};

/**
 * Decodes CTRL_CMD_NEWFAMILY.
 * @throws NetlinkProtocolError if the id or name of the family is missing.
 */
export function decodeFamily(attributes: AttributeList): GenlFamily {
  return {
    id: required(attributes.u16(CTRL_ATTR_FAMILY_ID), 'family id'),
    name: required(attributes.string(CTRL_ATTR_FAMILY_NAME), 'family name'),
    version: attributes.u32(CTRL_ATTR_VERSION) ?? 0,
    headerSize: attributes.u32(CTRL_ATTR_HDRSIZE) ?? 0,
    maxAttribute: attributes.u32(CTRL_ATTR_MAXATTR) ?? 0,
    operations: decodeArray(attributes, CTRL_ATTR_OPS, (operation) => ({
      command: required(operation.u32(CTRL_ATTR_OP_ID), 'operation id'),
      flags: operation.u32(CTRL_ATTR_OP_FLAGS) ?? 0,
    })),
    multicastGroups: decodeArray(attributes, CTRL_ATTR_MCAST_GROUPS, (group) => ({
      name: required(group.string(CTRL_ATTR_MCAST_GRP_NAME), 'multicast group name'),
      id: required(group.u32(CTRL_ATTR_MCAST_GRP_ID), 'multicast group id'),
    })),
  };
}

/** Decodes an array: a nest of nests, numbered from 1. */
function decodeArray<Item>(attributes: AttributeList, type: number, decode: (item: AttributeList) => Item): Item[] {
  const items = attributes.nested(type);
  return items === undefined ? [] : Array.from(items, ({ payload }) => decode(AttributeList.parse(payload)));
}

function required<Value>(value: Value | undefined, what: string): Value {
  if (value === undefined) throw new NetlinkProtocolError(`the generic netlink controller did not return the ${what}`);
  return value;
}
