import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseNbdUri } from '../../src/nbd/uri.js';

const tcp = (host: string, port = 10809): unknown => ({ type: 'tcp', host, port });
const unix = (path: string): unknown => ({ type: 'unix', path });
const tls = {
  hostname: undefined,
  certificates: undefined,
  pskFile: undefined,
  username: undefined,
  verifyPeer: true,
};

describe('an NBD URI', () => {
  const valid: readonly [string, unknown, string, unknown][] = [
    ['nbd://example.com/disk', tcp('example.com'), 'disk', undefined],
    ['nbd://example.com/', tcp('example.com'), '', undefined],
    ['nbd://example.com', tcp('example.com'), '', undefined],
    ['NBD://example.com:1234//disk', tcp('example.com', 1234), '/disk', undefined],
    ['nbd://example.com/hello%20world', tcp('example.com'), 'hello world', undefined],
    ['nbd://example.com/a/../b', tcp('example.com'), 'a/../b', undefined],
    ['nbd://[::1]:10809/x', tcp('::1'), 'x', undefined],
    ['nbd+unix:///disk?socket=/run/nbd.sock', unix('/run/nbd.sock'), 'disk', undefined],
    ['nbd+unix:///?socket=%00/abstract', unix('\0/abstract'), '', undefined],
    ['nbds://example.com/disk', tcp('example.com'), 'disk', { ...tls, hostname: 'example.com' }],
    [
      'nbds://alice@10.0.0.1/disk?tls-psk-file=/etc/keys.psk',
      tcp('10.0.0.1'),
      'disk',
      { ...tls, hostname: '10.0.0.1', pskFile: '/etc/keys.psk', username: 'alice' },
    ],
    [
      'nbds+unix:///disk?socket=/s&tls-certificates=/etc/pki&tls-hostname=server&tls-verify-peer=1&tls-type=x509',
      unix('/s'),
      'disk',
      { ...tls, hostname: 'server', certificates: '/etc/pki' },
    ],
    ['nbds+unix:///?socket=/s&tls-verify-peer=0', unix('/s'), '', { ...tls, verifyPeer: false }],
  ];
  for (const [text, address, exportName, encryption] of valid) {
    test(text, () => {
      assert.deepEqual(parseNbdUri(text), { address, exportName, tls: encryption });
    });
  }

  const invalid: readonly [string, RegExp][] = [
    ['', /expected nbd:/],
    ['http://example.com/', /expected nbd:/],
    ['/dev/nbd0', /expected nbd:/],
    ['nbd:///disk', /expected a host/],
    ['nbd://a b/disk', /expected a host/],
    ['nbd://example.com:0/', /invalid port 0/],
    ['nbd://example.com:65536/', /invalid port 65536/],
    ['nbd://::1/', /expected a host/],
    ['nbd://example.com/%zz', /export name is not percent-encoded/],
    ['nbd://example.com/%00', /NUL/],
    [`nbd://example.com/${'x'.repeat(4097)}`, /longer than 4096/],
    ['nbd://example.com/x#y', /fragment/],
    ['nbd://example.com/x?socket=/s', /requires nbd\+unix/],
    ['nbd://example.com/x?colour=red', /unknown parameter "colour"/],
    ['nbd+unix:///x', /requires the parameter socket/],
    ['nbd+unix:///x?socket=nbd.sock', /socket must be an absolute path/],
    ['nbd+unix://host/x?socket=/s', /has no host/],
    [`nbd+unix:///x?socket=/${'s'.repeat(107)}`, /longer than 107/],
    ['nbd+unix:///x?socket=/s&socket=/t', /given twice/],
    ['nbd://example.com/x?tls-psk-file=/k', /requires TLS: write nbds:/],
    ['nbd://alice@example.com/x', /a user name requires TLS/],
    ['nbds://h/x?tls-type=anon', /tls-type "anon" is not supported/],
    ['nbds://h/x?tls-type=psk', /requires tls-psk-file/],
    ['nbds://h/x?tls-psk-file=/k&tls-certificates=/c', /exclude each other/],
    ['nbds://h/x?tls-psk-file=keys', /absolute/],
    ['nbds://h/x?tls-verify-peer=yes', /tls-verify-peer/],
    ['nbds+unix:///x?socket=/s', /add tls-hostname/],
  ];
  for (const [text, message] of invalid) {
    test(`rejected: ${text.slice(0, 60)}`, () => {
      assert.throws(() => parseNbdUri(text), { name: 'NbdUriError', message });
    });
  }

  for (const text of ['nbds://alice:secret@host/x', 'nbd://:secret@host/x', 'nbds://a%3Ab:secret@host/']) {
    test(`a password is rejected and not repeated: ${text}`, () => {
      assert.throws(
        () => parseNbdUri(text),
        (error: unknown) =>
          error instanceof Error && error.message.includes('password') && !error.message.includes('secret'),
      );
    });
  }
});
