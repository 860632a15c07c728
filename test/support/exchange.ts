/** The same exchange with two kernels, and where their answers part. */
import { littleEndian, viewOf } from '../../src/netlink/bytes.js';
import { decodeMessages } from '../../src/netlink/message.js';

/** One end of an exchange: the machine's kernel or a simulated one. */
export interface NetlinkEnd {
  send(datagram: Uint8Array): void;
  receive(size: number): Uint8Array | undefined;
  close(): void;
}

/** What is done to an end: a datagram to send, or the size of a buffer to read one with. */
export type Step = { readonly send: Uint8Array } | { readonly read: number };

/** The answers of one end, a datagram each; null where none was there to read. */
export function play(end: NetlinkEnd, steps: readonly Step[]): (Uint8Array | null)[] {
  const answers: (Uint8Array | null)[] = [];
  for (const step of steps) {
    if ('send' in step) end.send(step.send);
    else answers.push(withoutPort(end.receive(step.read)));
  }
  return answers;
}

/** A datagram with the port of its messages, which is the socket's own, set to 0. */
function withoutPort(datagram: Uint8Array | undefined): Uint8Array | null {
  if (datagram === undefined) return null;
  const view = viewOf(datagram);
  for (let at = 0; at + 16 <= datagram.length; at += (view.getUint32(at, littleEndian) + 3) & ~3) {
    view.setUint32(at + 12, 0, littleEndian);
    if (view.getUint32(at, littleEndian) < 16) break;
  }
  return datagram;
}

/** A datagram for people: its messages, in hexadecimal digits. */
export function describeDatagram(datagram: Uint8Array | null): string {
  if (datagram === null) return 'nothing';
  const messages = decodeMessages(datagram).map(
    ({ type, flags, payload }) => `type ${type} flags ${flags.toString(16)} ${Buffer.from(payload).toString('hex')}`,
  );
  return messages.join('\n      ');
}
