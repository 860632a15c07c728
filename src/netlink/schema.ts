/** Names of messages of generic netlink families, for printing them as text. */
import {
  CTRL_ATTR_FAMILY_ID,
  CTRL_ATTR_FAMILY_NAME,
  CTRL_ATTR_HDRSIZE,
  CTRL_ATTR_MAXATTR,
  CTRL_ATTR_MCAST_GROUPS,
  CTRL_ATTR_MCAST_GRP_ID,
  CTRL_ATTR_MCAST_GRP_NAME,
  CTRL_ATTR_OP,
  CTRL_ATTR_OPS,
  CTRL_ATTR_OP_FLAGS,
  CTRL_ATTR_OP_ID,
  CTRL_ATTR_VERSION,
  CTRL_CMD_GETFAMILY,
  CTRL_CMD_GETPOLICY,
  CTRL_CMD_NEWFAMILY,
} from './genl-constants.js';

/** The content of an attribute. `list` is a nest of nests that are numbered, not named. */
export type AttributeKind =
  | 'u8'
  | 'u16'
  | 'u32'
  | 'u64'
  | 'string'
  | 'bytes'
  | { readonly nested: AttributeNames }
  | { readonly list: AttributeNames };

/** Attributes by type: name and content of each. */
export type AttributeNames = Readonly<Partial<Record<number, readonly [name: string, kind: AttributeKind]>>>;

/** The names of a family's messages. */
export interface FamilyNames {
  readonly commands: Readonly<Partial<Record<number, string>>>;
  readonly attributes: AttributeNames;
}

/** The controller's. */
export const controlNames: FamilyNames = {
  commands: {
    [CTRL_CMD_NEWFAMILY]: 'NEWFAMILY',
    [CTRL_CMD_GETFAMILY]: 'GETFAMILY',
    [CTRL_CMD_GETPOLICY]: 'GETPOLICY',
  },
  attributes: {
    [CTRL_ATTR_FAMILY_ID]: ['FAMILY_ID', 'u16'],
    [CTRL_ATTR_FAMILY_NAME]: ['FAMILY_NAME', 'string'],
    [CTRL_ATTR_VERSION]: ['VERSION', 'u32'],
    [CTRL_ATTR_HDRSIZE]: ['HDRSIZE', 'u32'],
    [CTRL_ATTR_MAXATTR]: ['MAXATTR', 'u32'],
    [CTRL_ATTR_OPS]: [
      'OPS',
      { list: { [CTRL_ATTR_OP_ID]: ['OP_ID', 'u32'], [CTRL_ATTR_OP_FLAGS]: ['OP_FLAGS', 'u32'] } },
    ],
    [CTRL_ATTR_MCAST_GROUPS]: [
      'MCAST_GROUPS',
      {
        list: {
          [CTRL_ATTR_MCAST_GRP_NAME]: ['MCAST_GRP_NAME', 'string'],
          [CTRL_ATTR_MCAST_GRP_ID]: ['MCAST_GRP_ID', 'u32'],
        },
      },
    ],
    [CTRL_ATTR_OP]: ['OP', 'u32'],
  },
};
