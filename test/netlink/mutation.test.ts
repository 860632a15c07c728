import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AttributeList } from '../../src/netlink/attribute.js';
import { align, littleEndian } from '../../src/netlink/bytes.js';
import { NLA_F_NESTED, NLA_F_NET_BYTEORDER } from '../../src/netlink/constants.js';
import { NetlinkError, NetlinkProtocolError } from '../../src/netlink/error.js';
import { decodeFamily } from '../../src/netlink/genl-family.js';
import { decodePolicy } from '../../src/netlink/genl-policy.js';
import { GenlSocket, decodeGenl } from '../../src/netlink/genl.js';
import { decodeMessages, encodeMessage } from '../../src/netlink/message.js';
import { goldenNames, isFamilyMessage, readGolden } from '../golden/exchange.js';
import { Peer, concat, hex } from '../support/peer.js';

// Recorded answers of a kernel, corrupted at random. Each gives a NetlinkProtocolError, or exactly what its bytes say.
const skip = !littleEndian && 'the recordings are those of a little-endian machine';
const seed = Number(process.env['TEST_SEED'] ?? 20260101);

// Most of the time would be spent on the traces of errors that are expected.
Error.stackTraceLimit = 1;

/** Pseudo-random numbers: mulberry32. The same seed gives the same ones. */
class Random {
  #state: number;

  constructor(start: number) {
    this.#state = start;
  }

  /** An integer from 0 up to, but not including, `limit`. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let value = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((((value ^ (value >>> 14)) >>> 0) * limit) / 2 ** 32) | 0;
  }

  pick<Item>(items: readonly Item[]): Item {
    const item = items[this.below(items.length)];
    assert.ok(item !== undefined);
    return item;
  }
}

const answers = goldenNames().flatMap((name) =>
  readGolden(name)
    .datagrams.filter(({ from }) => from === 'kernel')
    .map((datagram) => hex(datagram.hex)),
);

/** Lengths that may confuse a parser. */
const oddLengths = [0, 1, 2, 3, 4, 5, 15, 16, 17, 19, 20, 0x7fff, 0xfffc, 0xffff];

/** Corrupts a datagram in one to four places. */
function mutate(original: Uint8Array, random: Random): Uint8Array {
  let bytes: Uint8Array = original.slice();
  for (let count = 1 + random.below(4); count > 0; count--) {
    const at = random.below(Math.max(1, bytes.length));
    switch (random.below(7)) {
      case 0:
        bytes = bytes.slice(0, at);
        break;
      case 1:
        bytes = concat(bytes, original.slice(0, random.below(24)));
        break;
      case 2:
        bytes = concat(bytes.slice(0, at), bytes.slice(Math.min(bytes.length, at + 1 + random.below(8))));
        break;
      case 3: {
        // A length at an aligned offset, where attributes and messages have theirs.
        const length = Math.min(bytes.length - 2, at & ~3);
        if (length >= 0) new DataView(bytes.buffer).setUint16(length, random.pick(oddLengths), true);
        break;
      }
      case 4:
        if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
        break;
      default:
        if (at < bytes.length) bytes[at] = random.below(256);
    }
  }
  return bytes;
}

/** The value of `make`, or undefined if it rejects the bytes properly; anything else it throws is a failure. */
function unlessRefused<Value>(make: () => Value): Value | undefined {
  try {
    return make();
  } catch (error) {
    if (error instanceof NetlinkProtocolError) return undefined;
    throw error;
  }
}

/** The bytes of a list, encoded from each attribute that the parser found, in order. */
function encodeList(list: AttributeList): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const { type, nested, netByteOrder, payload } of list) {
    const header = Buffer.alloc(4);
    header.writeUInt16LE(payload.length + 4, 0);
    header.writeUInt16LE(type | (nested ? NLA_F_NESTED : 0) | (netByteOrder ? NLA_F_NET_BYTEORDER : 0), 2);
    parts.push(header, payload, new Uint8Array(align(payload.length) - payload.length));
  }
  return concat(...parts);
}

/** Whether `decoded` encodes to `bytes`, except for padding, which may be anything, or absent at the very end. */
function assertSameBut(padding: (index: number) => boolean, decoded: Uint8Array, bytes: Uint8Array): void {
  assert.ok(decoded.length >= bytes.length && decoded.length - bytes.length < 4, 'the same length');
  for (let index = 0; index < bytes.length; index++) {
    if (decoded[index] !== bytes[index] && !padding(index)) assert.fail(`byte ${index} differs`);
  }
}

/** Checks a list, and every valid nest in it, against its bytes. Returns the number of attributes. */
function checkList(list: AttributeList, bytes: Uint8Array): number {
  const padding = new Set<number>();
  let at = 0;
  let count = 0;
  for (const { type, nested, payload } of list) {
    const end = at + 4 + payload.length;
    at += align(4 + payload.length);
    for (let index = end; index < at; index++) padding.add(index);
    count++;
    // Reading by type returns the last attribute of that type.
    assert.deepEqual(list.get(type), list.all(type).at(-1));
    for (const read of ['u8', 'u16', 'u32', 'u64', 's64', 'string', 'bytes'] as const)
      unlessRefused(() => list[read](type));
    if (!nested) continue;
    const inner = unlessRefused(() => AttributeList.parse(payload));
    if (inner !== undefined) count += checkList(inner, payload);
  }
  assertSameBut((index) => padding.has(index), encodeList(list), bytes);
  return count;
}

void test('100,000 corrupted datagrams: rejected, or decoded to what they say', { skip, timeout: 120_000 }, () => {
  const random = new Random(seed);
  const outcome = { refused: 0, decoded: 0, attributes: 0 };
  for (let round = 0; round < 100_000; round++) {
    const bytes = mutate(random.pick(answers), random);
    const messages = unlessRefused(() => decodeMessages(bytes));
    if (messages === undefined) {
      outcome.refused++;
      continue;
    }
    const padding = new Set<number>();
    let at = 0;
    for (const { payload } of messages) {
      for (let index = at + 16 + payload.length; index < at + align(16 + payload.length); index++) padding.add(index);
      at += align(16 + payload.length);
    }
    assertSameBut((index) => padding.has(index), concat(...messages.map(encodeMessage)), bytes);
    for (const message of messages.filter(isFamilyMessage)) {
      const genl = unlessRefused(() => decodeGenl(message));
      if (genl === undefined) {
        outcome.refused++;
        continue;
      }
      outcome.decoded++;
      outcome.attributes += checkList(genl.attributes, message.payload.subarray(4));
      unlessRefused(() => decodeFamily(genl.attributes));
      unlessRefused(() => decodePolicy([genl.attributes]));
    }
  }
  // Both outcomes occurred many times.
  assert.ok(
    outcome.refused > 10_000 && outcome.decoded > 10_000 && outcome.attributes > 50_000,
    JSON.stringify(outcome),
  );
});

void test(
  '20,000 corrupted conversations: each ends with an answer or a netlink error',
  { skip, timeout: 120_000 },
  async () => {
    const random = new Random(seed + 1);
    const outcome = new Map<string, number>();
    for (let round = 0; round < 20_000; round++) {
      const peer = new Peer(({ seq, port }) => {
        const whole = Array.from({ length: 1 + random.below(3) }, () => random.pick(answers));
        const ours = whole.map((bytes) =>
          concat(...decodeMessages(bytes).map((message) => encodeMessage({ ...message, seq, port }))),
        );
        return ours.map((bytes) => mutate(bytes, random));
      });
      const socket = await GenlSocket.open(peer, { timeoutMs: 1000 });
      const requests = [() => socket.family('vdpa'), () => socket.families()];
      const ending = await random
        .pick<() => Promise<unknown>>(requests)()
        .then(
          () => 'answer',
          (error: unknown) => {
            assert.ok(error instanceof NetlinkError || error instanceof NetlinkProtocolError, String(error));
            return error instanceof NetlinkError ? 'refusal' : 'nonsense';
          },
        );
      outcome.set(ending, (outcome.get(ending) ?? 0) + 1);
    }
    for (const ending of ['answer', 'refusal', 'nonsense'])
      assert.ok((outcome.get(ending) ?? 0) > 200, `few ended with ${ending}`);
  },
);
