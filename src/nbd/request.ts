import * as nbd from './protocol.js';

/** Room for the header of a request, in bytes. */
export const MAX_REQUEST_HEADER = 32;

/** A request of the transmission phase. */
export interface NbdRequestHeader {
  readonly command: nbd.Command;
  /** CMD_FLAG_. */
  readonly flags: number;
  /** Two words that its replies repeat. */
  readonly cookieHigh: number;
  readonly cookieLow: number;
  /** Bytes. */
  readonly position: number;
  readonly length: number;
}

/** Writes the header of a request. @returns its length in bytes */
export function encodeRequest(view: DataView, at: number, request: NbdRequestHeader, replies: nbd.ReplyForm): number {
  const isExtended = replies === 'extended';
  view.setUint32(at, isExtended ? nbd.EXTENDED_REQUEST_MAGIC : nbd.REQUEST_MAGIC);
  view.setUint16(at + 4, request.flags);
  view.setUint16(at + 6, request.command);
  view.setUint32(at + 8, request.cookieHigh);
  view.setUint32(at + 12, request.cookieLow);
  view.setUint32(at + 16, Math.floor(request.position / 0x1_0000_0000));
  view.setUint32(at + 20, request.position >>> 0);
  if (!isExtended) {
    view.setUint32(at + 24, request.length);
    return 28;
  }
  view.setUint32(at + 24, Math.floor(request.length / 0x1_0000_0000));
  view.setUint32(at + 28, request.length >>> 0);
  return MAX_REQUEST_HEADER;
}
