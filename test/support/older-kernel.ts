import { AttributeWriter } from '../../src/netlink/attribute.js';
import {
  CTRL_ATTR_FAMILY_ID,
  CTRL_ATTR_FAMILY_NAME,
  CTRL_ATTR_OPS,
  CTRL_ATTR_OP_FLAGS,
  CTRL_ATTR_OP_ID,
  GENL_ID_CTRL,
} from '../../src/netlink/genl-constants.js';
import type { NetlinkMessage } from '../../src/netlink/message.js';
import { Errno } from '../../src/sys/errno.js';
import { VDPA_CMD_DEV_GET } from '../../src/vdpa/uapi.js';
import { acknowledgement, answer, concat, hex, Peer } from './peer.js';

/** A kernel whose vdpa family can only show devices. */
export const olderKernel = (): Peer => new Peer(answerTo);

function answerTo(request: NetlinkMessage): Uint8Array[] {
  if (request.type !== GENL_ID_CTRL) return [acknowledgement(request, Errno.EOPNOTSUPP)];
  const family = new AttributeWriter()
    .u16(CTRL_ATTR_FAMILY_ID, 30)
    .string(CTRL_ATTR_FAMILY_NAME, 'vdpa')
    .nested(CTRL_ATTR_OPS, (list) => {
      list.nested(1, (operation) => operation.u32(CTRL_ATTR_OP_ID, VDPA_CMD_DEV_GET).u32(CTRL_ATTR_OP_FLAGS, 0));
    });
  const header = hex('01 02 0000');
  return [answer(request, { type: GENL_ID_CTRL, payload: concat(header, family.finish()) }), acknowledgement(request)];
}
