/** TLS for NBD, through Node's own: certificates as gnutls and QEMU arrange them in a folder, or pre-shared keys. */
import { readFileSync } from 'node:fs';
import { isIP, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { abortReason } from '../sys/wait.js';
import { NbdRefusedError, NbdUriError } from './error.js';
import type { NbdTls } from './uri.js';

/** What a connection needs of the files that a URI names. It is kept in memory: a server may drop its privileges. */
export type TlsOptions = ConnectionOptions;

/** Files of keys are small. */
const MAX_FILE = 1024 * 1024;

/** Reads the files. @throws NbdUriError, which never contains a key */
export function readTlsOptions({ hostname, certificates, pskFile, username, verifyPeer }: NbdTls): TlsOptions {
  const common: ConnectionOptions = { minVersion: 'TLSv1.2', rejectUnauthorized: verifyPeer };
  if (pskFile !== undefined) return { ...common, ...preSharedKey(pskFile, username) };
  return {
    ...common,
    ...(hostname !== undefined && { host: hostname }),
    // Node rejects an address as the name that is sent to the server.
    ...(hostname !== undefined && isIP(hostname) === 0 && { servername: hostname }),
    ...(certificates !== undefined && readCertificates(certificates)),
  };
}

function readCertificates(folder: string): ConnectionOptions {
  const cert = readOptional(join(folder, 'client-cert.pem'));
  const key = readOptional(join(folder, 'client-key.pem'));
  if ((cert === undefined) !== (key === undefined)) {
    throw new NbdUriError(`${folder} must have both client-cert.pem and client-key.pem, or neither`);
  }
  const ca = readOptional(join(folder, 'ca-cert.pem'));
  if (ca === undefined) throw new NbdUriError(`${folder} has no ca-cert.pem`);
  return { ca, ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) };
}

function preSharedKey(file: string, username: string | undefined): ConnectionOptions {
  const text = readOptional(file);
  if (text === undefined) throw new NbdUriError(`${file} does not exist`);
  const users = new Map<string, string>();
  for (const line of text.toString('utf8').split('\n')) {
    const [, user, key] = /^([^:#\s][^:]*):([0-9a-f]+)\s*$/i.exec(line) ?? [];
    if (user !== undefined && key !== undefined && key.length % 2 === 0) users.set(user, key);
  }
  const [only] = users.keys();
  const identity = username ?? (users.size === 1 ? only : undefined);
  if (identity === undefined) {
    throw new NbdUriError(
      `${file} must have one line "USER:KEY" with the key in hexadecimal; with several, add tls-username=USER to the URI`,
    );
  }
  const key = users.get(identity);
  if (key === undefined) throw new NbdUriError(`${file} has no valid key of user "${identity}"`);
  const psk = Buffer.from(key, 'hex');
  return {
    // OpenSSL offers none of these suites by default. All have forward secrecy.
    ciphers: 'ECDHE-PSK-CHACHA20-POLY1305:DHE-PSK-AES256-GCM-SHA384:DHE-PSK-AES128-GCM-SHA256',
    pskCallback: () => ({ psk, identity }),
    // The key proves who the server is.
    checkServerIdentity: () => undefined,
  };
}

/** A missing file is undefined. */
function readOptional(path: string): Buffer | undefined {
  let text: Buffer;
  try {
    text = readFileSync(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new NbdUriError(`Reading ${path} failed: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (text.length > MAX_FILE) throw new NbdUriError(`${path} is larger than ${MAX_FILE} bytes`);
  return text;
}

/** Encrypts a connection. @throws NbdRefusedError; the reason of the signal */
export function startTls(socket: Socket, options: TlsOptions, signal: AbortSignal): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    let encrypted: TLSSocket;
    try {
      encrypted = connect({ ...options, socket });
    } catch (error) {
      reject(tlsError(error));
      return;
    }
    const giveUp = (): void => {
      encrypted.destroy();
      reject(abortReason(signal));
    };
    const settle = (): void => {
      signal.removeEventListener('abort', giveUp);
      encrypted.off('error', failed);
      encrypted.off('close', closed);
    };
    const failed = (error: Error): void => {
      settle();
      encrypted.destroy();
      reject(tlsError(error));
    };
    const closed = (): void => {
      settle();
      reject(new NbdRefusedError('The server has ended the connection during the TLS handshake'));
    };
    signal.addEventListener('abort', giveUp, { once: true });
    encrypted.once('error', failed);
    encrypted.once('close', closed);
    encrypted.once('secureConnect', () => {
      settle();
      resolve(encrypted);
    });
  });
}

const tlsError = (error: unknown): NbdRefusedError =>
  new NbdRefusedError(`TLS failed: ${error instanceof Error ? error.message : String(error)}`);
