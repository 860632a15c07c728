import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AttributeWriter } from '../../src/netlink/attribute.js';
import {
  NLMSGERR_ATTR_MISS_NEST,
  NLMSGERR_ATTR_MISS_TYPE,
  NLMSGERR_ATTR_MSG,
  NLMSGERR_ATTR_OFFS,
  NLMSGERR_ATTR_POLICY,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_NOOP,
  NLMSG_OVERRUN,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_MULTI,
  NLM_F_REQUEST,
} from '../../src/netlink/constants.js';
import { Errno } from '../../src/sys/errno.js';
import { NetlinkError, NetlinkProtocolError } from '../../src/netlink/error.js';
import { encodeMessage } from '../../src/netlink/message.js';
import type { NetlinkMessage } from '../../src/netlink/message.js';
import type { NetlinkTransport } from '../../src/netlink/transport.js';
import { NetlinkSocket } from '../../src/netlink/socket.js';
import type { RequestOptions } from '../../src/netlink/socket.js';
import { Peer, acknowledgement, answer, concat, done, hex, int32, peerPort } from '../support/peer.js';
import type { Arrival } from '../support/peer.js';

const family = 0x1c;
const empty = new Uint8Array(0);

/** Makes one request to a peer and returns the outcome. */
async function ask(
  flags: number,
  answers: (request: NetlinkMessage) => Iterable<Arrival>,
  options: RequestOptions = {},
): Promise<{ received: string[]; peer: Peer }> {
  const peer = new Peer(answers);
  const received: string[] = [];
  const onMessage = (message: NetlinkMessage): void => void received.push(Buffer.from(message.payload).toString());
  await new NetlinkSocket(peer).request(family, flags, hex('0102'), onMessage, options);
  return { received, peer };
}

function text(request: NetlinkMessage, payload: string, flags = 0): Uint8Array {
  return answer(request, { flags, payload: new Uint8Array(Buffer.from(payload)) });
}

/** Expects a NetlinkError with these properties. */
function fails(properties: Partial<NetlinkError>): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof NetlinkError, String(error));
    for (const [key, value] of Object.entries(properties)) assert.deepEqual(Reflect.get(error, key), value, key);
    return true;
  };
}

void test('a request is acknowledged after its answer', async () => {
  const { received, peer } = await ask(0, (request) => [text(request, 'foo0'), acknowledgement(request)]);
  assert.deepEqual(received, ['foo0']);
  const payload = hex('0102');
  assert.deepEqual(peer.requests, [
    { type: family, flags: NLM_F_REQUEST | NLM_F_ACK, seq: 1, port: peerPort, payload },
  ]);
});

void test('a dump is read to its end, over many datagrams', async () => {
  const { received, peer } = await ask(NLM_F_DUMP, (request) => [
    concat(text(request, 'foo0', NLM_F_MULTI), text(request, 'foo1', NLM_F_MULTI)),
    text(request, 'foo2', NLM_F_MULTI),
    concat(text(request, 'foo3', NLM_F_MULTI), done(request)),
    text(request, 'after the end'),
  ]);
  assert.deepEqual(received, ['foo0', 'foo1', 'foo2', 'foo3']);
  assert.equal(peer.requests[0]?.flags, NLM_F_REQUEST | NLM_F_ACK | NLM_F_DUMP);
});

void test('a request with an answer of many parts ends with its acknowledgement', async () => {
  const { received } = await ask(0, (request) => [
    concat(text(request, 'foo0', NLM_F_MULTI), done(request)),
    acknowledgement(request),
  ]);
  assert.deepEqual(received, ['foo0']);
});

void test('messages of another sequence number or port, and no-ops, are skipped', async () => {
  const { received } = await ask(0, (request) => [
    concat(
      answer({ ...request, seq: request.seq + 1 }, { payload: hex('61') }),
      answer(request, { port: peerPort + 1, payload: hex('62') }),
      acknowledgement({ ...request, seq: 0 }, Errno.EIO),
      answer(request, { type: NLMSG_NOOP }),
      text(request, 'foo0'),
    ),
    acknowledgement(request),
  ]);
  assert.deepEqual(received, ['foo0']);
});

void test('late answers to an abandoned request do not reach the next one', async () => {
  let first: NetlinkMessage | undefined;
  const peer = new Peer((request) => {
    if (first === undefined) {
      first = request;
      return [];
    }
    return [text(first, 'late'), acknowledgement(first, Errno.EIO), text(request, 'foo1'), acknowledgement(request)];
  });
  const socket = new NetlinkSocket(peer);
  await assert.rejects(socket.gather(family, 0, empty), fails({ code: 'ETIMEDOUT' }));
  const messages = await socket.gather(family, 0, empty);
  assert.deepEqual(
    messages.map(({ payload }) => Buffer.from(payload).toString()),
    ['foo1'],
  );
});

void test('an error has all details from the kernel', async () => {
  const policy = new AttributeWriter().u32(1, 4);
  const attributes = new AttributeWriter()
    .string(NLMSGERR_ATTR_MSG, 'vdpa: device not found')
    .u32(NLMSGERR_ATTR_OFFS, 24)
    .u32(NLMSGERR_ATTR_MISS_TYPE, 5)
    .u32(NLMSGERR_ATTR_MISS_NEST, 20)
    .bytes(NLMSGERR_ATTR_POLICY, policy.finish())
    .finish();
  const refused = fails({
    operation: 'delete foo0',
    errno: 19,
    code: 'ENODEV',
    reason: 'No such device',
    kernelMessage: 'vdpa: device not found',
    offset: 24,
    missingType: 5,
    missingNest: 20,
    policy: policy.finish(),
    message: 'delete foo0: No such device (ENODEV): vdpa: device not found (missing attribute 5)',
  });
  const options = { operation: 'delete foo0' };
  await assert.rejects(
    ask(0, (request) => [acknowledgement(request, Errno.ENODEV, attributes)], options),
    refused,
  );
  await assert.rejects(
    ask(NLM_F_DUMP, (request) => [acknowledgement(request, Errno.ENODEV, attributes)], options),
    refused,
  );
  await assert.rejects(
    ask(NLM_F_DUMP, (request) => [done(request, Errno.ENODEV, attributes)], options),
    refused,
  );
});

void test('an error without an extended acknowledgement has only its number', async () => {
  await assert.rejects(
    ask(0, (request) => [acknowledgement(request, Errno.EPERM)]),
    (error) => {
      assert.ok(error instanceof NetlinkError);
      assert.equal(error.message, 'netlink request: Operation not permitted (EPERM)');
      for (const key of ['kernelMessage', 'offset', 'missingType', 'policy', 'hint']) assert.ok(!(key in error), key);
      return true;
    },
  );
});

void test('an error may quote the whole request before its attributes', async () => {
  const attributes = new AttributeWriter().string(NLMSGERR_ATTR_MSG, 'no').finish();
  await assert.rejects(
    ask(0, (request) => {
      const payload = concat(int32(-Errno.EINVAL), encodeMessage(request), attributes);
      return [answer(request, { type: NLMSG_ERROR, flags: 0x200, payload })];
    }),
    fails({ code: 'EINVAL', kernelMessage: 'no' }),
  );
});

void test('a positive error number is an error too', async () => {
  await assert.rejects(
    ask(0, (request) => [acknowledgement(request, -Errno.EBUSY)]),
    fails({ errno: Errno.EBUSY }),
  );
});

void test('a dump may end with a count, or with nothing', async () => {
  assert.deepEqual((await ask(NLM_F_DUMP, (request) => [done(request, -3)])).received, []);
  assert.deepEqual((await ask(NLM_F_DUMP, (request) => [answer(request, { type: NLMSG_DONE })])).received, []);
});

void test('a kernel message on success is a warning', async () => {
  const attributes = new AttributeWriter().string(NLMSGERR_ATTR_MSG, 'done, but').finish();
  const warnings: string[] = [];
  const onWarning = (warning: string): void => void warnings.push(warning);
  await ask(0, (request) => [acknowledgement(request, 0, attributes)], { onWarning });
  await ask(NLM_F_DUMP, (request) => [done(request, 0, attributes)], { onWarning });
  assert.deepEqual(warnings, ['done, but', 'done, but']);
});

/** A dump that is interrupted `times` times, by a flag or an error, before it succeeds. */
function disturbed(
  times: number,
  disturb: (request: NetlinkMessage) => Arrival[],
): (request: NetlinkMessage) => Arrival[] {
  let left = times;
  return (request) => {
    if (left-- > 0) return [text(request, 'old0'), ...disturb(request), text(request, 'old1'), done(request)];
    return [text(request, 'new0'), text(request, 'new1'), done(request)];
  };
}

const disturbances: readonly [what: string, code: string, disturb: (request: NetlinkMessage) => Arrival[]][] = [
  ['an interrupted dump', 'EINTR', (request) => [text(request, 'odd', NLM_F_DUMP_INTR)]],
  ['a dump with lost datagrams', 'ENOBUFS', () => [new NetlinkError({ operation: 'receive', errno: Errno.ENOBUFS })]],
  ['a dump with an overrun', 'ENOBUFS', (request) => [answer(request, { type: NLMSG_OVERRUN })]],
];

void test('an interrupted or incomplete dump', async (t) => {
  for (const [what, code, disturb] of disturbances) {
    await t.test(`${what} is read to its end, discarded and repeated`, async () => {
      let received: string[] = [];
      let restarts = 0;
      const peer = new Peer(disturbed(2, disturb));
      await new NetlinkSocket(peer).request(
        family,
        NLM_F_DUMP,
        empty,
        ({ payload }) => received.push(Buffer.from(payload).toString()),
        {
          onRestart: () => {
            restarts++;
            received = [];
          },
        },
      );
      assert.deepEqual(received, ['new0', 'new1']);
      assert.equal(restarts, 2);
      assert.deepEqual(
        peer.requests.map(({ seq }) => seq),
        [1, 2, 3],
        'each attempt has its own number',
      );
    });
    await t.test(`${what} is repeated by gather`, async () => {
      const messages = await new NetlinkSocket(new Peer(disturbed(1, disturb))).gather(family, NLM_F_DUMP, empty);
      assert.deepEqual(
        messages.map(({ payload }) => Buffer.from(payload).toString()),
        ['new0', 'new1'],
      );
    });
    await t.test(`${what} fails if the caller cannot discard answers`, async () => {
      await assert.rejects(ask(NLM_F_DUMP, disturbed(1, disturb)), fails({ code }));
    });
    await t.test(`${what} fails if it never succeeds`, async () => {
      const peer = new Peer(disturbed(1000, disturb));
      await assert.rejects(new NetlinkSocket(peer).gather(family, NLM_F_DUMP, empty), fails({ code }));
      assert.equal(peer.requests.length, 10);
    });
  }
});

void test('a dump is also interrupted if only its end reports it', async () => {
  await assert.rejects(
    ask(NLM_F_DUMP, (request) => [text(request, 'foo0'), done(request, 0, empty, NLM_F_DUMP_INTR)]),
    fails({ code: 'EINTR', hint: 'The list changed while it was read; try again' }),
  );
});

void test('an error that ends an interrupted dump is reported', async () => {
  await assert.rejects(
    ask(NLM_F_DUMP, (request) => [text(request, 'odd', NLM_F_DUMP_INTR), done(request, Errno.EACCES)]),
    fails({ code: 'EACCES' }),
  );
});

void test('lost datagrams fail a request, which is not repeated', async () => {
  const lost = new NetlinkError({ operation: 'receive', errno: Errno.ENOBUFS });
  const peer = new Peer((request) => [lost, acknowledgement(request)]);
  await assert.rejects(
    new NetlinkSocket(peer).gather(family, 0, empty, { operation: 'add foo0' }),
    fails({
      operation: 'add foo0',
      code: 'ENOBUFS',
      hint: 'The receive buffer of the socket is full; the request may have been carried out',
    }),
  );
  assert.equal(peer.requests.length, 1);
});

void test('a reply that does not arrive in time is an error', async () => {
  const socket = new NetlinkSocket(new Peer(() => []), { timeoutMs: 2500 });
  await assert.rejects(
    socket.gather(family, 0, empty, { operation: 'show foo0' }),
    fails({
      message: 'show foo0: Connection timed out (ETIMEDOUT). The kernel did not answer within 2.5 s',
      code: 'ETIMEDOUT',
    }),
  );
});

void test('messages for other sockets do not extend the time limit', { timeout: 10_000 }, async () => {
  const chatter = function* (request: NetlinkMessage): Iterable<Arrival> {
    for (let index = 0; index < 100_000; index++) yield text({ ...request, seq: 99 }, 'chatter');
  };
  const socket = new NetlinkSocket(new Peer(chatter), { timeoutMs: 5 });
  await assert.rejects(socket.gather(family, 0, empty), fails({ code: 'ETIMEDOUT' }));
});

void test('another error of the transport passes through', async () => {
  const closed = new NetlinkError({ operation: 'receive', errno: Errno.EBADF });
  await assert.rejects(
    ask(0, () => [closed]),
    (error) => error === closed,
  );
});

void test('an error thrown by onMessage rejects the request after its last answer', async () => {
  const failure = new TypeError('cannot use this');
  const peer = new Peer((request) => [text(request, 'foo0'), text(request, 'foo1'), acknowledgement(request)]);
  const socket = new NetlinkSocket(peer);
  let calls = 0;
  const onMessage = (): void => {
    calls++;
    throw failure;
  };
  await assert.rejects(socket.request(family, 0, empty, onMessage), (error) => error === failure);
  assert.equal(calls, 1);
  assert.equal((await socket.gather(family, 0, empty)).length, 2, 'and the socket is ready for the next request');
});

const malformed: readonly [what: string, answers: (request: NetlinkMessage) => Uint8Array, text: RegExp][] = [
  [
    'an error without a header',
    (r) => answer(r, { type: NLMSG_ERROR, payload: int32(-1) }),
    /has 4 bytes, less than its 20/,
  ],
  [
    'an error that quotes more than it holds',
    (r) =>
      answer(r, {
        type: NLMSG_ERROR,
        payload: concat(int32(-1), encodeMessage({ ...r, payload: new Uint8Array(8) }).subarray(0, 16)),
      }),
    /claims to quote a request of 24 bytes/,
  ],
  [
    'an error that quotes less than a header',
    (r) => answer(r, { type: NLMSG_ERROR, payload: concat(int32(-1), new Uint8Array(16)) }),
    /claims to quote a request of 0 bytes/,
  ],
  ['an end with half a number', (r) => answer(r, { type: NLMSG_DONE, payload: hex('0000') }), /has 2 bytes/],
  ['broken attributes with an error', (r) => acknowledgement(r, 1, hex('ff00 0100')), /reaches past the end/],
  ['a number of a wrong length with an error', (r) => acknowledgement(r, 1, hex('0500 0200 01000000')), /has 1 bytes/],
  ['a cut datagram', (r) => text(r, 'foo0').subarray(0, 18), /cut off/],
];

void test('malformed answers are rejected', async (t) => {
  for (const [what, answers, expected] of malformed) {
    await t.test(what, async () => {
      await assert.rejects(
        ask(NLM_F_DUMP, (request) => [answers(request)]),
        (error) => {
          assert.ok(error instanceof NetlinkProtocolError, String(error));
          assert.match(error.message, expected);
          return true;
        },
      );
    });
  }
});

void test('concurrent requests run one after another', async () => {
  const peer = new Peer((request) => [text(request, `answer to ${request.seq}`), acknowledgement(request)]);
  const socket = new NetlinkSocket(peer);
  const failure = new Error('no');
  const failing = socket.request(family, 0, empty, () => {
    throw failure;
  });
  const answers = Promise.all([2, 3, 4].map(() => socket.gather(family, 0, empty)));
  await assert.rejects(failing, (error) => error === failure);
  assert.deepEqual(
    (await answers).map(([first]) => Buffer.from(first?.payload ?? empty).toString()),
    ['answer to 2', 'answer to 3', 'answer to 4'],
  );
});

void test('closing waits for running requests', async () => {
  const peer = new Peer((request) => [text(request, 'foo0'), acknowledgement(request)]);
  const socket = new NetlinkSocket(peer);
  assert.equal(socket.port, peerPort);
  const [messages] = await Promise.all([socket.gather(family, 0, empty), socket.close()]);
  assert.equal(messages.length, 1);
  assert.equal(peer.closed, 1);
});

/** A peer that withholds its answers until they are released. */
function withholding(peer: Peer): { transport: NetlinkTransport; release: () => void } {
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const transport: NetlinkTransport = {
    port: peer.port,
    send: (datagram) => {
      peer.send(datagram);
    },
    receive: async () => {
      await released;
      return peer.receive();
    },
    close: () => {
      peer.close();
    },
  };
  return { transport, release };
}

void test('a request is abandoned immediately, and its answers are read before the next one is sent', async () => {
  const peer = new Peer((request) => [text(request, 'foo0', NLM_F_MULTI), done(request)]);
  const { transport, release } = withholding(peer);
  const socket = new NetlinkSocket(transport);
  const controller = new AbortController();
  const reason = new Error('enough');
  const received: unknown[] = [];
  const onMessage = (message: NetlinkMessage): void => void received.push(message);
  const given = socket.request(family, NLM_F_DUMP, empty, onMessage, { signal: controller.signal });
  const next = socket.gather(family, NLM_F_DUMP, empty);
  await new Promise(setImmediate);
  controller.abort(reason);
  await assert.rejects(given, (error) => error === reason);
  assert.equal(peer.requests.length, 1);
  release();
  assert.equal((await next).length, 1);
  assert.equal(peer.requests.length, 2);
  assert.deepEqual(received, []);
});

void test('a request whose signal is aborted while it waits for another is never sent', async () => {
  const peer = new Peer((request) => [acknowledgement(request)]);
  const socket = new NetlinkSocket(peer);
  const reason = new Error('enough');
  const first = socket.gather(family, 0, empty);
  await assert.rejects(
    socket.gather(family, 0, empty, { signal: AbortSignal.abort(reason) }),
    (error) => error === reason,
  );
  await first;
  assert.equal(peer.requests.length, 1);
});

void test('closing does not wait for an abandoned request', async () => {
  const peer = new Peer(() => []);
  const socket = new NetlinkSocket(withholding(peer).transport);
  const controller = new AbortController();
  const request = socket.gather(family, 0, empty, { signal: controller.signal });
  await new Promise(setImmediate);
  controller.abort();
  await assert.rejects(request, { name: 'AbortError' });
  await socket[Symbol.asyncDispose]();
  assert.equal(peer.closed, 1);
});
