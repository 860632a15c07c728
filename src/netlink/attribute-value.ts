import { AttributeList, type Attribute } from './attribute.js';
import type { AttributeKind } from './schema.js';

/** The kinds of attributes with a single number or text. */
export type ScalarKind = Exclude<AttributeKind, 'bytes' | object>;

/** The value of an attribute. @throws NetlinkProtocolError if its length does not match the kind */
export function scalarValue(kind: ScalarKind, { type, payload }: Attribute): number | bigint | string {
  return single(type, payload)[kind](type) ?? '';
}

/** A list of one attribute, which checks the length when it is read. */
function single(type: number, payload: Uint8Array): AttributeList {
  const bytes = new Uint8Array(4 + Math.ceil(payload.length / 4) * 4);
  const header = new Uint16Array([4 + payload.length, type]);
  bytes.set(new Uint8Array(header.buffer));
  bytes.set(payload, 4);
  return AttributeList.parse(bytes);
}
