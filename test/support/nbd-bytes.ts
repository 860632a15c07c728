/** What NBD servers send, byte by byte. */
import * as nbd from '../../src/nbd/protocol.js';

type Word = readonly [bits: 16 | 32 | 64, value: number | bigint] | Uint8Array | string;

/** Integers of so many bits, big-endian, bytes and texts, one after another. */
export function bytes(...words: readonly Word[]): Buffer {
  return Buffer.concat(
    words.map((word) => {
      if (typeof word === 'string') return Buffer.from(word);
      if (word instanceof Uint8Array) return word;
      const [bits, value] = word;
      return Buffer.from(
        BigInt(value)
          .toString(16)
          .padStart(bits / 4, '0'),
        'hex',
      );
    }),
  );
}

export const greeting = (flags = 3): Buffer => bytes([64, nbd.MAGIC], [64, nbd.OPTION_MAGIC], [16, flags]);

export const optionReply = (option: number, type: number, data: Uint8Array = Buffer.alloc(0)): Buffer =>
  bytes([64, nbd.OPTION_REPLY_MAGIC], [32, option], [32, type], [32, data.length], data);

export const exportInfo = (size: number | bigint, flags: number): Buffer =>
  optionReply(nbd.OPT_GO, nbd.REP_INFO, bytes([16, nbd.INFO_EXPORT], [64, size], [16, flags]));

export const blockInfo = (minimum: number, preferred: number, maximum: number): Buffer =>
  optionReply(
    nbd.OPT_GO,
    nbd.REP_INFO,
    bytes([16, nbd.INFO_BLOCK_SIZE], [32, minimum], [32, preferred], [32, maximum]),
  );

export const simpleReply = (cookie: bigint, error = 0, data: Uint8Array = Buffer.alloc(0)): Buffer =>
  bytes([32, nbd.SIMPLE_REPLY_MAGIC], [32, error], [64, cookie], data);

export const chunk = (cookie: bigint, type: number, isDone: boolean, payload: Uint8Array = Buffer.alloc(0)): Buffer =>
  bytes(
    [32, nbd.STRUCTURED_REPLY_MAGIC],
    [16, isDone ? 1 : 0],
    [16, type],
    [64, cookie],
    [32, payload.length],
    payload,
  );

export const extendedChunk = (
  cookie: bigint,
  type: number,
  isDone: boolean,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer =>
  bytes(
    [32, nbd.EXTENDED_REPLY_MAGIC],
    [16, isDone ? 1 : 0],
    [16, type],
    [64, cookie],
    [64, 0],
    [64, payload.length],
    payload,
  );
