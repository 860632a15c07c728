import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { READ, WRITE } from '../../../../src/vduse/block/backend.js';
import { NbdDisk, type Action } from '../../../support/nbd-disk.js';
import { MemoryServer } from '../../../support/nbd-memory-server.js';
import { needsProgram, newPath, ServerProcess, startNbdkit } from '../../../support/nbd-server.js';

const MIB = 2 ** 20;
const KEY = '000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f';

function certtool(folder: string, name: string, lines: readonly string[], ...argv: readonly string[]): void {
  const run = (...more: readonly string[]): void => {
    execFileSync('certtool', more, { cwd: folder, stdio: 'ignore' });
  };
  writeFileSync(join(folder, `${name}.info`), ['expiration_days = 2', ...lines].join('\n'));
  run('--generate-privkey', '--key-type=ecdsa', '--outfile', `${name}-key.pem`);
  run(...argv, '--load-privkey', `${name}-key.pem`, '--template', `${name}.info`, '--outfile', `${name}-cert.pem`);
}

function makeAuthority(folder: string): void {
  mkdirSync(folder);
  certtool(folder, 'ca', ['cn = "authority"', 'ca', 'cert_signing_key'], '--generate-self-signed');
}

/** A certificate authority, a server and a client that it has certified, in the layout that nbdkit and QEMU expect. */
function makeCertificates(folder: string, hostname: string): void {
  makeAuthority(folder);
  const signed = ['--generate-certificate', '--load-ca-certificate', 'ca-cert.pem', '--load-ca-privkey', 'ca-key.pem'];
  const server = [`cn = "${hostname}"`, `dns_name = "${hostname}"`, 'tls_www_server', 'signing_key'];
  certtool(folder, 'server', server, ...signed);
  certtool(folder, 'client', ['cn = "client"', 'tls_www_client', 'signing_key'], ...signed);
}

/** Writes and reads more than any buffer on the way has room for. */
async function exchange(disk: NbdDisk): Promise<void> {
  const { u8 } = disk.memory;
  for (let at = 0; at < 8 * MIB; at++) u8[at] = (at * 13 + (at >> 10)) & 0xff;
  const actions = Array.from({ length: 16 }, (_, index) => index * (MIB / 2));
  const writes = actions.map((position): Action => ({ type: WRITE, position, length: MIB / 2, from: position }));
  assert.ok((await disk.do(...writes)).every((error) => error === 0));
  const reads = actions.map((position): Action => ({
    type: READ,
    position,
    length: MIB / 2,
    from: position + 8 * MIB,
  }));
  assert.ok((await disk.do(...reads)).every((error) => error === 0));
  assert.ok(Buffer.from(u8.slice(0, 8 * MIB)).equals(Buffer.from(u8.slice(8 * MIB, 16 * MIB))));
}

describe('TLS with certificates', needsProgram('nbdkit', 'certtool'), () => {
  const folder = newPath('pki');
  const other = newPath('pki');
  let server: ServerProcess;
  const uri = (parameters: string): string => `nbds+unix:///?socket=${server.socket}&${parameters}`;

  before(async () => {
    makeCertificates(folder, 'server.test');
    makeAuthority(other);
    server = await startNbdkit('--tls=require', `--tls-certificates=${folder}`, '--tls-verify-peer', 'memory', '16M');
  });
  after(() => server.kill());

  test('a server that is verified, and verifies the client: data passes', async () => {
    const disk = await NbdDisk.open(uri(`tls-certificates=${folder}&tls-hostname=server.test`));
    try {
      await exchange(disk);
    } finally {
      await disk.close();
    }
  });

  test('killed and begun again: the connection is encrypted again', async () => {
    const disk = await NbdDisk.open(uri(`tls-certificates=${folder}&tls-hostname=server.test`));
    try {
      await server.kill();
      await disk.reaches('reconnecting');
      const waiting = disk.begin({ type: READ, position: 0, length: 4096, from: 0 });
      await server.start();
      assert.deepEqual(await disk.finish(waiting), [0]);
      await exchange(disk);
    } finally {
      await disk.close();
    }
  });

  test('rejected: another name, another authority, no certificate, no TLS', async () => {
    const rejected: readonly [string, RegExp][] = [
      [uri(`tls-certificates=${folder}&tls-hostname=other.test`), /^TLS failed: .*(altnames|does not match)/],
      [
        uri(`tls-certificates=${other}&tls-hostname=server.test`),
        /^TLS failed: .*(signature|self.signed|issuer|unable to)/,
      ],
      [uri('tls-hostname=server.test'), /^TLS failed: .*(self.signed|issuer|unable to)/],
      [server.uri, /requires TLS: write nbds/],
      [uri('tls-certificates=/nowhere&tls-hostname=server.test'), /^\/nowhere has no ca-cert\.pem$/],
    ];
    for (const [text, message] of rejected) await assert.rejects(NbdDisk.open(text), { message });
  });

  test('a server without TLS is never used without it', async () => {
    const plain = await startNbdkit('memory', '1M');
    const text = `nbds+unix:///?socket=${plain.socket}&tls-certificates=${folder}&tls-hostname=server.test`;
    await assert.rejects(NbdDisk.open(text), { message: /^The server refuses TLS/ });
    await plain.kill();
  });

  test('with qemu-nbd: data passes, with structured replies', needsProgram('qemu-nbd'), async () => {
    const path = newPath('disk');
    writeFileSync(path, Buffer.alloc(16 * MIB));
    const socket = newPath('socket');
    const object = `tls-creds-x509,id=tls0,endpoint=server,dir=${folder},verify-peer=yes`;
    const qemu = new ServerProcess(socket, [
      ...['qemu-nbd', '-t', '-k', socket, '-e', '4', '-f', 'raw'],
      ...['--object', object, '--tls-creds', 'tls0', path],
    ]);
    await qemu.start();
    const text = `nbds+unix:///?socket=${socket}&tls-certificates=${folder}&tls-hostname=server.test`;
    const disk = await NbdDisk.open(text);
    try {
      assert.equal(disk.connections.export.replies, 'structured');
      await exchange(disk);
      const written = Buffer.from(disk.memory.u8.slice(0, 8 * MIB));
      assert.ok(
        readFileSync(path)
          .subarray(0, 8 * MIB)
          .equals(written),
      );
    } finally {
      await disk.close();
      await qemu.kill();
    }
  });
});

describe('TLS with a pre-shared key', () => {
  const keys = newPath('keys');
  const wrong = newPath('keys');
  const server = new MemoryServer({
    size: 16 * MIB,
    tls: {
      ciphers: 'ECDHE-PSK-CHACHA20-POLY1305',
      pskCallback: (_: unknown, identity: string) => (identity === 'alice' ? Buffer.from(KEY, 'hex') : null),
    },
  });
  const uri = (file: string, user = '', { uri: plain }: Pick<ServerProcess, 'uri'> = server): string =>
    `${plain.replace('nbd+unix:///', `nbds+unix://${user}/`)}&tls-psk-file=${file}`;

  before(() => {
    writeFileSync(keys, `alice:${KEY}\nbob:${KEY.replaceAll('0', '1')}\n`, { mode: 0o600 });
    writeFileSync(wrong, `alice:${KEY.replaceAll('0', '2')}\n`, { mode: 0o600 });
    server.start();
  });
  after(() => {
    server.kill();
  });

  test('data passes, and again after the connection has ended', async () => {
    const disk = await NbdDisk.open(uri(keys, 'alice@'));
    try {
      await exchange(disk);
      server.endConnections();
      await disk.reaches('reconnecting');
      assert.deepEqual(await disk.do({ type: READ, position: 0, length: 4096, from: 0 }), [0]);
    } finally {
      await disk.close();
    }
  });

  test('with nbdkit: data passes', needsProgram('nbdkit'), async () => {
    const nbdkit = await startNbdkit('--tls=require', `--tls-psk=${keys}`, 'memory', '16M');
    const disk = await NbdDisk.open(uri(keys, 'alice@', nbdkit));
    try {
      await exchange(disk);
    } finally {
      await disk.close();
      await nbdkit.kill();
    }
  });

  test('rejected: a wrong key, an unknown user, no user, no TLS; no error has a key', async () => {
    const rejected: readonly [string, RegExp][] = [
      [uri(wrong), /^TLS failed|ended the connection/],
      [uri(keys, 'carol@'), /has no valid key of user "carol"/],
      [uri(keys), /must have one line/],
      [uri('/nowhere'), /\/nowhere does not exist/],
      [server.uri, /requires TLS: write nbds/],
    ];
    for (const [text, message] of rejected) {
      await assert.rejects(
        NbdDisk.open(text),
        (error: unknown) =>
          error instanceof Error && message.test(error.message) && !error.message.includes(KEY.slice(4, 12)),
      );
    }
  });

  test('an attempt that fails leaves no descriptor open', async () => {
    const attempt = async (): Promise<number> => {
      await assert.rejects(NbdDisk.open(uri(wrong)));
      // The server's own end.
      server.endConnections();
      await sleep(10);
      return readdirSync('/proc/self/fd').length;
    };
    const first = await attempt();
    let last = first;
    for (let count = 0; count < 8; count++) last = await attempt();
    for (let tries = 0; tries < 1000 && last > first; tries++) {
      await sleep(10);
      last = readdirSync('/proc/self/fd').length;
    }
    assert.ok(last <= first, `${last} descriptors, ${first} after the first attempt`);
  });
});
