import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AttributeWriter } from '../../src/netlink/attribute.js';
import { MessageDescriber } from '../../src/netlink/message-describer.js';
import { NetlinkError } from '../../src/netlink/error.js';
import { encodeMessage } from '../../src/netlink/message.js';
import { traceTransport } from '../../src/netlink/trace.js';
import { Errno } from '../../src/sys/errno.js';
import { vdpaNames } from '../../src/vdpa/names.js';

const message = (type: number, payload: readonly number[], flags = 0): Uint8Array =>
  encodeMessage({ type, flags, seq: 7, port: 9, payload: Uint8Array.from(payload) });

const genl = (type: number, command: number, attributes: AttributeWriter, flags = 0): Uint8Array =>
  message(type, [command, 1, 0, 0, ...attributes.finish()], flags);

/** Lines without the bytes. */
const words = (lines: readonly string[]): string[] => lines.filter((line) => !/^ +[0-9a-f]{4} {2}/.test(line));

test('a family is shown by name once the controller has reported its number', () => {
  const describer = new MessageDescriber({ vdpa: vdpaNames });
  const request = genl(
    0x1c,
    3,
    new AttributeWriter()
      .string(4, 'a\n"b')
      .u16(13, 1500)
      .bytes(10, Uint8Array.of(2, 0, 0, 0, 0, 1)),
    5,
  );
  assert.match(
    describer.describe(request)[0] ?? '',
    /^family 28 command 3 version 1 seq 7 port 9 flags REQUEST\|ACK length/,
  );
  const family = new AttributeWriter()
    .string(2, 'vdpa')
    .u16(1, 0x1c)
    .nested(6, (list) => list.nested(1, (operation) => operation.u32(1, 3).u32(2, 11)));
  assert.deepEqual(words(describer.describe(genl(0x10, 1, family))).slice(1), [
    '  FAMILY_NAME "vdpa"',
    '  FAMILY_ID 28',
    '  OPS',
    '    1:',
    '      OP_ID 3',
    '      OP_FLAGS 11',
  ]);
  assert.deepEqual(words(describer.describe(request)), [
    'vdpa DEV_NEW version 1 seq 7 port 9 flags REQUEST|ACK length 52',
    '  DEV_NAME "a\\n\\"b"',
    '  DEV_NET_CFG_MTU 1500',
    '  DEV_NET_CFG_MACADDR 02 00 00 00 00 01',
  ]);
});

test('the bytes are shown, sixteen per line', () => {
  const lines = new MessageDescriber().describe(message(3, [0, 0, 0, 0], 2));
  assert.deepEqual(lines, [
    'DONE seq 7 port 9 flags MULTI length 20',
    '  0000  14 00 00 00 03 00 02 00 07 00 00 00 09 00 00 00',
    '  0010  00 00 00 00',
  ]);
});

test('an error has its name and the kernel’s message', () => {
  const extended = new AttributeWriter().string(1, 'vdpa: device not found').u32(2, 20).finish();
  const header = [...message(0x1c, [])];
  const lines = new MessageDescriber().describe(message(2, [0xed, 0xff, 0xff, 0xff, ...header, ...extended], 0x300));
  assert.deepEqual(words(lines), [
    'ERROR -19 ENODEV seq 7 port 9 flags CAPPED|ACK_TLVS length 72',
    '  MSG "vdpa: device not found"',
    '  OFFS 20',
  ]);
});

test('an error names the attribute of the request it is about, and the values that the kernel accepts', () => {
  const describer = new MessageDescriber({ vdpa: vdpaNames });
  describer.describe(genl(0x10, 1, new AttributeWriter().string(2, 'vdpa').u16(1, 0x1c)));
  describer.describe(genl(0x1c, 3, new AttributeWriter().string(4, 'foo0').u16(13, 10), 5));
  const extended = new AttributeWriter()
    .string(1, 'integer out of range')
    .u32(2, 32)
    .nested(4, (policy) => policy.u64(4, 68n).u64(5, 65535n).u32(1, 3))
    .u32(5, 2)
    .finish();
  const refusal = message(2, [0xde, 0xff, 0xff, 0xff, ...message(0x1c, []), ...extended], 0x300);
  assert.deepEqual(words(describer.describe(refusal)).slice(1), [
    '  MSG "integer out of range"',
    '  OFFS 32 DEV_NET_CFG_MTU',
    '  POLICY u16 min 68 max 65535',
    '  MISS_TYPE 2 MGMTDEV_DEV_NAME',
  ]);
});

test('unreadable messages are still printed, and never cause an exception', () => {
  const describer = new MessageDescriber({ vdpa: vdpaNames });
  const wrongLength = genl(0x10, 1, new AttributeWriter().u32(1, 5));
  for (const bytes of [
    Uint8Array.of(1, 2, 3),
    message(0x1c, [3]),
    message(2, [1]),
    message(0x10, [1, 2, 0, 0, 255, 255, 1, 0]),
    wrongLength,
    new Uint8Array(0),
  ]) {
    describer.describe(bytes);
  }
  for (let seed = 1; seed < 3000; seed++) {
    const bytes = genl(
      0x10,
      1,
      new AttributeWriter()
        .string(2, 'vdpa')
        .u16(1, 0x1c)
        .nested(6, (list) => list.u32(1, seed)),
    );
    for (let change = 0; change < 4; change++)
      bytes[16 + ((seed * 31 + change * 17) % (bytes.length - 16))] = seed * (change + 3);
    describer.describe(bytes);
  }
});

test('a traced transport prints what passes through it and changes nothing', async () => {
  const lines: string[] = [];
  const answers: (Uint8Array | Promise<Uint8Array>)[] = [message(3, []), Promise.resolve(message(1, []))];
  const sent: Uint8Array[] = [];
  const transport = traceTransport(
    {
      port: 9,
      send: (datagram) => void sent.push(datagram),
      receive: () => {
        const answer = answers.shift();
        if (answer) return answer;
        throw new NetlinkError({ operation: 'receive', errno: Errno.ETIMEDOUT });
      },
      close: () => undefined,
    },
    { onLine: (line) => lines.push(line) },
  );
  const request = genl(0x10, 3, new AttributeWriter().string(2, 'vdpa'));
  await transport.send(request);
  assert.deepEqual(sent, [request]);
  assert.deepEqual(await transport.receive(1), message(3, []));
  assert.deepEqual(await transport.receive(1), message(1, []));
  assert.throws(() => transport.receive(1), { code: 'ETIMEDOUT' });
  assert.deepEqual(words(lines), [
    '-> nlctrl GETFAMILY version 1 seq 7 port 9 flags 0x0 length 32',
    '     FAMILY_NAME "vdpa"',
    '<- DONE seq 7 port 9 flags 0x0 length 16',
    '<- NOOP seq 7 port 9 flags 0x0 length 16',
    '<- nothing: receive: Connection timed out (ETIMEDOUT)',
  ]);
});
