import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { handshake, type NbdExport } from '../../src/nbd/handshake.js';
import * as nbd from '../../src/nbd/protocol.js';
import { blockInfo, bytes, exportInfo, greeting, optionReply } from '../support/nbd-bytes.js';

const unsupported = (option: number): Buffer => optionReply(option, nbd.REP_ERR_UNSUP);
const ack = (option: number): Buffer => optionReply(option, nbd.REP_ACK);
const noForm = [unsupported(nbd.OPT_EXTENDED_HEADERS), unsupported(nbd.OPT_STRUCTURED_REPLY)];

/** Runs a handshake against a server that sends these bytes, whatever it is asked. */
function run(server: readonly Uint8Array[], { tls = false, exportName = 'disk' } = {}) {
  let stream: Buffer = Buffer.concat(server);
  const sent: Uint8Array[] = [];
  let secured: number | undefined;
  const steps = handshake({ exportName, tls });
  for (let next = steps.next(), input; ; next = steps.next(input)) {
    if (next.done === true) return { result: next.value, sent: Buffer.concat(sent), secured, left: stream.length };
    input = new Uint8Array(0);
    const step = next.value;
    if (step.type === 'send') sent.push(Buffer.from(step.bytes));
    if (step.type === 'start-tls') secured = Buffer.concat(sent).length;
    if (step.type !== 'receive') continue;
    assert.ok(step.length <= 8192, 'memory is bounded');
    if (stream.length < step.length) throw new Error(`${step.length - stream.length} bytes more are expected`);
    input = stream.subarray(0, step.length);
    stream = stream.subarray(step.length);
  }
}

const described = {
  size: 4096,
  flags: 0x4d,
  minimumBlock: 512,
  preferredBlock: 4096,
  maximumPayload: 2 ** 25,
} satisfies Partial<NbdExport>;
const badBlocks = (...sizes: readonly [number, number, number]): Uint8Array[] => [
  greeting(),
  ...noForm,
  blockInfo(...sizes),
  ...info,
];
const info = [exportInfo(4096, 0x4d), ack(nbd.OPT_GO)];

describe('the handshake', () => {
  test('asks for the export and its block sizes by name', () => {
    const { result, sent, left } = run([
      greeting(),
      ack(nbd.OPT_EXTENDED_HEADERS),
      optionReply(nbd.OPT_GO, nbd.REP_INFO, bytes([16, 2], 'a description')),
      exportInfo(4096, 0x4d),
      blockInfo(4096, 65536, 1048576),
      ack(nbd.OPT_GO),
    ]);
    const blocks = { minimumBlock: 4096, preferredBlock: 65536, maximumPayload: 1048576 };
    assert.deepEqual(result, { ...described, ...blocks, replies: 'extended' });
    assert.equal(left, 0);
    const option = (code: number, data: Uint8Array = Buffer.alloc(0)): Buffer =>
      bytes([64, nbd.OPTION_MAGIC], [32, code], [32, data.length], data);
    const go = option(nbd.OPT_GO, bytes([32, 4], 'disk', [16, 1], [16, nbd.INFO_BLOCK_SIZE]));
    assert.deepEqual(sent, bytes([32, 3], option(nbd.OPT_EXTENDED_HEADERS), go));
  });

  test('takes what both ends support of the forms of replies', () => {
    const structured = [unsupported(nbd.OPT_EXTENDED_HEADERS), ack(nbd.OPT_STRUCTURED_REPLY)];
    assert.equal(run([greeting(), ...structured, ...info]).result.replies, 'structured');
    assert.equal(run([greeting(), ...noForm, ...info]).result.replies, 'simple');
  });

  test('falls back to the name alone, with padding or without', () => {
    const answer = bytes([64, 4096], [16, 0x4d]);
    for (const [flags, padding] of [
      [3, 0],
      [1, 124],
    ] as const) {
      const { result, left } = run([
        greeting(flags),
        ...noForm,
        unsupported(nbd.OPT_GO),
        answer,
        Buffer.alloc(padding),
      ]);
      assert.deepEqual(result, { ...described, replies: 'simple' });
      assert.equal(left, 0);
    }
    const { sent } = run([greeting(0), answer, Buffer.alloc(124)]);
    assert.deepEqual(sent, bytes([32, 0], [64, nbd.OPTION_MAGIC], [32, nbd.OPT_EXPORT_NAME], [32, 4], 'disk'));
  });

  test('with TLS: nothing is asked for before', () => {
    const { secured } = run([greeting(), ack(nbd.OPT_STARTTLS), ...noForm, ...info], { tls: true });
    assert.equal(secured, 4 + 16);
  });

  const refused: readonly [string, readonly Uint8Array[], RegExp, { tls?: boolean }?][] = [
    ['not NBD', [Buffer.from('HTTP/1.1 400 Bad Request\r\n')], /not an NBD server/],
    ['old style', [bytes([64, nbd.MAGIC], [64, nbd.OLD_STYLE_MAGIC], Buffer.alloc(136))], /old-style/],
    ['another magic', [bytes([64, nbd.MAGIC], [64, 1], [16, 3])], /newstyle/],
    [
      'no such export',
      [greeting(), ...noForm, optionReply(nbd.OPT_GO, nbd.REP_ERR_UNKNOWN, Buffer.from('no\n\x1b[31m'))],
      /no export of that name \("no\s+\[31m"\)$/,
    ],
    [
      'TLS required',
      [greeting(), ...noForm, optionReply(nbd.OPT_GO, nbd.REP_ERR_TLS_REQD)],
      /requires TLS: write nbds/,
    ],
    ['an unknown error', [greeting(), ...noForm, optionReply(nbd.OPT_GO, 0x80001234)], /error 0x80001234/],
    ['no TLS', [greeting(), unsupported(nbd.OPT_STARTTLS)], /refuses TLS/, { tls: true }],
    ['no TLS, and not fixed', [greeting(2)], /does not support TLS/, { tls: true }],
  ];
  for (const [what, server, message, options] of refused) {
    test(`a server refuses: ${what}`, () => {
      assert.throws(
        () => run(server, options),
        (error: unknown) =>
          error instanceof Error && /^Nbd(Refused|Protocol)Error$/.test(error.name) && message.test(error.message),
      );
    });
  }

  const hostile: readonly [string, readonly Uint8Array[], RegExp][] = [
    ['a reply to another option', [greeting(), ack(nbd.OPT_GO)], /answers option 7; it was asked for 11/],
    ['a reply without its magic', [greeting(), Buffer.alloc(20)], /magic/],
    [
      'a reply of 4 GiB',
      [greeting(), bytes([64, nbd.OPTION_REPLY_MAGIC], [32, 11], [32, 1], [32, 0xffffffff])],
      /4294967295 bytes/,
    ],
    [
      'endless replies',
      [
        greeting(),
        ...noForm,
        ...Array.from({ length: 100 }, () => optionReply(nbd.OPT_GO, nbd.REP_INFO, bytes([16, 99]))),
      ],
      /more than 64 replies/,
    ],
    ['no size', [greeting(), ...noForm, ack(nbd.OPT_GO)], /does not say how large/],
    ['too large', [greeting(), ...noForm, exportInfo(2n ** 63n, 1), ack(nbd.OPT_GO)], /more than a disk can have/],
    ['an empty information', [greeting(), ...noForm, optionReply(nbd.OPT_GO, nbd.REP_INFO)], /Unexpected reply/],
    [
      'a short information',
      [greeting(), ...noForm, optionReply(nbd.OPT_GO, nbd.REP_INFO, bytes([16, 0]))],
      /Unexpected reply/,
    ],
    ['an unexpected type', [greeting(), optionReply(nbd.OPT_EXTENDED_HEADERS, 2)], /Unexpected reply/],
    ['minimum block 0', badBlocks(0, 4096, 4096), /impossible block sizes/],
    ['minimum block 3', badBlocks(3, 4096, 4096), /impossible block sizes/],
    ['minimum block 128 KiB', badBlocks(131072, 131072, 131072), /impossible block sizes/],
    ['preferred block below the minimum', badBlocks(4096, 512, 4096), /impossible block sizes/],
    ['maximum below the preferred block', badBlocks(512, 4096, 512), /impossible block sizes/],
  ];
  for (const [what, server, message] of hostile) {
    test(`a hostile server: ${what}`, () => {
      assert.throws(() => run(server), { name: 'NbdProtocolError', message });
    });
  }
});
