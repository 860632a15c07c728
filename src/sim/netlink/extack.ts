import { NLMSGERR_ATTR_MSG, NLMSGERR_ATTR_OFFS, NLMSGERR_ATTR_POLICY } from '../../netlink/constants.js';
import { encodeText, decodeText } from '../../netlink/text-encoding.js';
import type { MessageBuffer } from './message-buffer.js';
import { writeAttributePolicy } from './attribute-policy.js';
import type { AttributePolicy } from './attribute-policy.js';

/** NETLINK_MAX_FMTMSG_LEN: maximum size of a message that the kernel formats, including its NUL. */
const formattedLength = 80;

/** Details of an error: `struct netlink_ext_ack`. Handlers fill it in, the socket writes it out. */
export class Extack {
  message: string | undefined;
  /** The offset of the rejected attribute from the request's nlmsghdr. */
  offset: number | undefined;
  policy: AttributePolicy | undefined;

  /** A message about an attribute: NL_SET_ERR_MSG_ATTR_POL. */
  set(message: string, { offset, policy }: { readonly offset: number; readonly policy?: AttributePolicy }): void {
    this.message = message;
    this.offset = offset;
    this.policy = policy;
  }

  /** A formatted message: NL_SET_ERR_MSG_FMT, which truncates it to its buffer. */
  format(message: string): void {
    const bytes = encodeText(message);
    this.message = bytes.length < formattedLength ? message : decodeText(bytes.subarray(0, formattedLength - 1));
  }

  /** Whether an answer with this errno (0 for success) has details: attributes are reported with errors only. */
  saysSomething(errno: number): boolean {
    return this.message !== undefined || (errno !== 0 && (this.offset !== undefined || this.policy !== undefined));
  }

  /** Writes the attributes of enum nlmsgerr_attrs. */
  write(buffer: MessageBuffer, errno: number): void {
    if (this.message !== undefined) buffer.string(NLMSGERR_ATTR_MSG, this.message);
    if (errno === 0) return;
    if (this.offset !== undefined) buffer.u32(NLMSGERR_ATTR_OFFS, this.offset);
    const { policy } = this;
    if (policy === undefined) return;
    buffer.nested(NLMSGERR_ATTR_POLICY, () => {
      writeAttributePolicy(buffer, policy);
    });
  }
}
