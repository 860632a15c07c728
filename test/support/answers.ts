/** Summaries of kernel answers, for tests that count them. */
import { AttributeList } from '../../src/netlink/attribute.js';
import { align, littleEndian, viewOf } from '../../src/netlink/bytes.js';
import {
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSGERR_ATTR_MSG,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
} from '../../src/netlink/constants.js';
import { decodeMessages } from '../../src/netlink/message.js';
import { errnoName } from '../../src/sys/errno.js';

/** For each message of a datagram: `EINVAL: message of the kernel`, `done`, `acknowledged`, or the command of an answer. */
export function summarize(datagram: string): string[] {
  return decodeMessages(new Uint8Array(Buffer.from(datagram, 'hex'))).map(({ type, flags, payload }) => {
    if (type !== NLMSG_ERROR && type !== NLMSG_DONE) return `answer ${payload[0] ?? ''}`;
    const errno = -viewOf(payload).getInt32(0, littleEndian);
    const name = errno === 0 ? (type === NLMSG_DONE ? 'done' : 'acknowledged') : errnoName(errno);
    if ((flags & NLM_F_ACK_TLVS) === 0) return name;
    const echoed = (flags & NLM_F_CAPPED) !== 0 ? 16 : align(viewOf(payload).getUint32(4, littleEndian));
    const attributes = AttributeList.parse(payload.subarray(type === NLMSG_DONE ? 4 : 4 + echoed));
    return `${name}: ${attributes.string(NLMSGERR_ATTR_MSG) ?? ''}`;
  });
}
