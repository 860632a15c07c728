/** The same exchange with two kernels, and their answers. */
import { align, littleEndian, viewOf } from '../../src/netlink/bytes.js';
import { CTRL_CMD_NEWFAMILY, GENL_ID_CTRL } from '../../src/netlink/genl-constants.js';
import { AttributeList } from '../../src/netlink/attribute.js';
import { messageHeaderLength } from '../../src/netlink/message.js';
import { concat } from './peer.js';

/** The near end of a socket to the machine's kernel or to a simulated one. */
export interface NetlinkEnd {
  send(datagram: Uint8Array): void;
  /** The next datagram for a reader with a buffer of `size` bytes; undefined if none is waiting. */
  receive(size: number): Uint8Array | undefined;
  close(): void;
}

/** What to do with an end: send a datagram, read one with a buffer of this size, or read all that are waiting. */
export type Step = { readonly send: Uint8Array } | { readonly read: number } | { readonly drain: number };

/** A request, and all answers to it. */
export function ask(datagram: Uint8Array, size = 32_768): Step[] {
  return [{ send: datagram }, { drain: size }];
}

/** The answers of an end: hexadecimal digits of each datagram, or `nothing` if there was none to read. */
export function play(end: NetlinkEnd, steps: readonly Step[]): string[] {
  const answers: string[] = [];
  for (const step of steps) {
    if ('send' in step) {
      end.send(step.send);
    } else if ('read' in step) {
      const datagram = end.receive(step.read);
      answers.push(datagram === undefined ? 'nothing' : digits(datagram));
    } else {
      for (let datagram = end.receive(step.drain); datagram !== undefined; datagram = end.receive(step.drain)) {
        answers.push(digits(datagram));
      }
    }
  }
  return answers;
}

/**
 * A datagram in hexadecimal digits, without what differs between two machines: the socket's port, and generic netlink families
 * other than `nlctrl` and `vdpa`, which vary from kernel to kernel.
 */
function digits(datagram: Uint8Array): string {
  const view = viewOf(datagram);
  const kept: Uint8Array[] = [];
  let at = 0;
  while (at + messageHeaderLength <= datagram.length) {
    const length = view.getUint32(at, littleEndian);
    if (length < messageHeaderLength) break;
    view.setUint32(at + 12, 0, littleEndian);
    const message = datagram.subarray(at, at + align(length));
    if (!isForeignFamily(message)) kept.push(message);
    at += align(length);
  }
  kept.push(datagram.subarray(at));
  return Buffer.from(concat(...kept)).toString('hex');
}

function isForeignFamily(message: Uint8Array): boolean {
  const view = viewOf(message);
  if (view.getUint16(4, littleEndian) !== GENL_ID_CTRL || message[messageHeaderLength] !== CTRL_CMD_NEWFAMILY)
    return false;
  const name = AttributeList.parse(message.subarray(messageHeaderLength + 4)).string(2);
  return name !== 'nlctrl' && name !== 'vdpa';
}
