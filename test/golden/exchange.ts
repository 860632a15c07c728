import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { AttributeList, AttributeWriter } from '../../src/netlink/attribute.js';
import { NLA_F_NESTED, NLA_F_NET_BYTEORDER, NLMSG_MIN_TYPE } from '../../src/netlink/constants.js';
import { genlHeaderLength } from '../../src/netlink/genl.js';
import { decodeMessages, encodeMessage } from '../../src/netlink/message.js';
import type { NetlinkMessage } from '../../src/netlink/message.js';
import { Peer, concat, hex } from '../support/peer.js';

/** A real exchange between iproute2's vdpa and the kernel, as test/golden/record.ts recorded it. */
export interface GoldenExchange {
  /** What it shows. */
  readonly note: string;
  /** How to record all of them again. */
  readonly recordedWith: string;
  /** The kernel's release, and the tool's version line. */
  readonly kernel: string;
  readonly tool: string;
  /** The command and its outcome. */
  readonly command: string;
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Every datagram, in order, in hexadecimal digits: numbers are little-endian. */
  readonly datagrams: readonly { readonly from: 'tool' | 'kernel'; readonly hex: string }[];
}

/** The folder of this checkout that the recordings are in: tests run from the checkout's root. */
const folder = 'test/golden';

export function readGolden(name: string): GoldenExchange {
  return JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')) as GoldenExchange;
}

export function goldenNames(): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => name.slice(0, -'.json'.length));
}

/**
 * The requests of the tool. iproute2 leaves whatever its memory held in the padding between attributes; here it is zero.
 */
export function requestsOf(golden: GoldenExchange): NetlinkMessage[] {
  return golden.datagrams
    .filter(({ from }) => from === 'tool')
    .flatMap(({ hex: digits }) => decodeMessages(hex(digits)))
    .map((request) => ({ ...request, payload: withCleanPadding(request.payload) }));
}

/** A peer that gives the recorded answers of the kernel, request by request, whatever the requests are. */
export function replay(golden: GoldenExchange): Peer {
  const rounds: Uint8Array[][] = [];
  for (const { from, hex: digits } of golden.datagrams) {
    if (from === 'tool') rounds.push([]);
    else rounds.at(-1)?.push(hex(digits));
  }
  return new Peer(({ seq, port }) =>
    (rounds.shift() ?? []).map((datagram) =>
      concat(...decodeMessages(datagram).map((message) => encodeMessage({ ...message, seq, port }))),
    ),
  );
}

/** The payload of a generic netlink message, re-encoded. */
export function withCleanPadding(payload: Uint8Array): Uint8Array {
  const writer = new AttributeWriter();
  copyAttributes(AttributeList.parse(payload.subarray(genlHeaderLength)), writer);
  return concat(payload.subarray(0, genlHeaderLength), writer.finish());
}

function copyAttributes(list: AttributeList, writer: AttributeWriter): void {
  for (const { type, nested, netByteOrder, payload } of list) {
    const flags = (nested ? NLA_F_NESTED : 0) | (netByteOrder ? NLA_F_NET_BYTEORDER : 0);
    writer.bytes(type | flags, payload);
  }
}

/** Whether a message is a family's own, not one of netlink's control messages. */
export function isFamilyMessage({ type }: NetlinkMessage): boolean {
  return type >= NLMSG_MIN_TYPE;
}
