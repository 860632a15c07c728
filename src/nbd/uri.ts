/**
 * NBD URIs: doc/uri.md of the NBD project, RFC 3986, and the TLS parameters of libnbd (nbd_connect_uri(3)).
 *
 * A URI is stored, printed and passed on command lines, so it must not contain a secret: keys are in files that it
 * names, and a password is rejected.
 */
import { NbdUriError } from './error.js';
import { MAX_STRING, NBD_PORT } from './protocol.js';

/** Where a server listens. The path of an abstract unix socket begins with NUL. */
export type NbdAddress =
  | { readonly type: 'tcp'; readonly host: string; readonly port: number }
  | { readonly type: 'unix'; readonly path: string };

/** How a connection is encrypted. */
export interface NbdTls {
  /** The name that the certificate of the server must have; undefined for none. */
  readonly hostname: string | undefined;
  /** Folder of ca-cert.pem, and of client-cert.pem and client-key.pem if the server requires them. */
  readonly certificates: string | undefined;
  /** File of pre-shared keys: lines of a user name, a colon and the key in hexadecimal. */
  readonly pskFile: string | undefined;
  /** The user name in that file; undefined for the only one. */
  readonly username: string | undefined;
  readonly verifyPeer: boolean;
}

/** An export of an NBD server. */
export interface NbdUri {
  readonly address: NbdAddress;
  readonly exportName: string;
  /** Undefined for a connection that is not encrypted. */
  readonly tls: NbdTls | undefined;
}

/** Longest path of a unix socket, in bytes: struct sockaddr_un has 108, and a file name ends with NUL. */
const MAX_SOCKET_PATH = 107;

const schemes = ['nbd', 'nbds', 'nbd+unix', 'nbds+unix'];
const tlsParameters = [
  'tls-type',
  'tls-certificates',
  'tls-psk-file',
  'tls-hostname',
  'tls-username',
  'tls-verify-peer',
] as const;
type Parameter = 'socket' | (typeof tlsParameters)[number];
type Parameters = ReadonlyMap<Parameter, string>;

/** @throws NbdUriError */
export function parseNbdUri(text: string): NbdUri {
  // RFC 3986, appendix B.
  const match = /^([a-z][a-z0-9+.-]*):(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(#.*)?$/is.exec(text);
  const [, scheme = '', authority = '', path = '', query = '', fragment] = match ?? [];
  const name = scheme.toLowerCase();
  if (!schemes.includes(name)) {
    throw new NbdUriError('Invalid NBD URI: expected nbd://, nbds://, nbd+unix:// or nbds+unix://');
  }
  if (fragment !== undefined) throw new NbdUriError('Invalid NBD URI: a fragment (#) is not supported');
  const user = userOf(authority);
  const parameters = parseQuery(query);
  const isUnix = name.endsWith('+unix');
  const address = isUnix ? unixAddress(authority, parameters) : tcpAddress(authority, parameters);
  const exportName = exportNameOf(path);
  if (name.startsWith('nbds')) return { address, exportName, tls: tlsOf(address, user, parameters) };
  refuseTls(name, user, parameters);
  return { address, exportName, tls: undefined };
}

/** The part before `@`. A password is not repeated in the error. */
function userOf(authority: string): string | undefined {
  const at = authority.lastIndexOf('@');
  if (at < 0) return undefined;
  const user = authority.slice(0, at);
  if (!user.includes(':')) return decode('user name', user);
  throw new NbdUriError(
    'Invalid NBD URI: a password is not supported, since others could read it: put the key into a file, and name it with tls-psk-file=FILE',
  );
}

function exportNameOf(path: string): string {
  if (path !== '' && !path.startsWith('/')) throw new NbdUriError('Invalid NBD URI: expected / before the export name');
  const exportName = decode('export name', path.slice(1));
  if (exportName.includes('\0')) throw new NbdUriError('Invalid NBD URI: the export name contains NUL');
  if (Buffer.byteLength(exportName) > MAX_STRING) {
    throw new NbdUriError(`Invalid NBD URI: the export name is longer than ${MAX_STRING} bytes`);
  }
  return exportName;
}

function parseQuery(query: string): Parameters {
  const values = new Map<Parameter, string>();
  if (query === '') return values;
  // Some write ";" between parameters, as the documentation of libnbd permits.
  for (const part of query.split(/[&;]/)) {
    const [, key = '', value = ''] = /^([^=]*)=?(.*)$/s.exec(part) ?? [];
    const parameter = decode('parameter', key);
    if (!isParameter(parameter)) throw new NbdUriError(`Invalid NBD URI: unknown parameter "${printable(parameter)}"`);
    if (values.has(parameter)) throw new NbdUriError(`Invalid NBD URI: parameter ${parameter} is given twice`);
    values.set(parameter, decode(parameter, value));
  }
  return values;
}

const isParameter = (text: string): text is Parameter =>
  text === 'socket' || tlsParameters.some((parameter) => parameter === text);

function unixAddress(authority: string, parameters: Parameters): NbdAddress {
  if (authority.replace(/^.*@/, '') !== '') {
    throw new NbdUriError(
      'Invalid NBD URI: a unix socket has no host: write three slashes, nbd+unix:///EXPORT?socket=PATH',
    );
  }
  const path = parameters.get('socket') ?? '';
  if (path === '') throw new NbdUriError('Invalid NBD URI: a unix socket requires the parameter socket=PATH');
  if (!path.startsWith('\0')) checkPath('socket', path);
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH) {
    throw new NbdUriError(`Invalid NBD URI: the path of the socket is longer than ${MAX_SOCKET_PATH} bytes`);
  }
  return { type: 'unix', path };
}

function tcpAddress(authority: string, parameters: Parameters): NbdAddress {
  if (parameters.has('socket')) {
    throw new NbdUriError('Invalid NBD URI: the parameter socket requires nbd+unix:// or nbds+unix://');
  }
  const [, bracketed, plain, port = ''] =
    /^(?:\[([0-9a-f:.]+)\]|([^:[\]]*))(?::([0-9]*))?$/i.exec(authority.replace(/^.*@/s, '')) ?? [];
  const host = bracketed ?? decode('host', plain ?? '');
  if (host === '' || /[\0\s]/.test(host))
    throw new NbdUriError('Invalid NBD URI: expected a host, as in nbd://HOST:PORT/EXPORT');
  const number = port === '' ? NBD_PORT : Number(port);
  if (number < 1 || number > 65_535) throw new NbdUriError(`Invalid NBD URI: invalid port ${port}`);
  return { type: 'tcp', host, port: number };
}

function refuseTls(scheme: string, user: string | undefined, parameters: Parameters): void {
  const stray = tlsParameters.find((parameter) => parameters.has(parameter));
  const what = stray ?? (user === undefined ? undefined : 'a user name');
  if (what === undefined) return;
  throw new NbdUriError(`Invalid NBD URI: ${what} requires TLS: write ${scheme.replace('nbd', 'nbds')}://`);
}

function tlsOf(address: NbdAddress, user: string | undefined, parameters: Parameters): NbdTls {
  const type = parameters.get('tls-type');
  const certificates = parameters.get('tls-certificates');
  const pskFile = parameters.get('tls-psk-file');
  if (type !== undefined && type !== 'x509' && type !== 'psk') {
    throw new NbdUriError(`Invalid NBD URI: tls-type "${printable(type)}" is not supported: expected x509 or psk`);
  }
  if (certificates !== undefined && pskFile !== undefined) {
    throw new NbdUriError('Invalid NBD URI: tls-certificates and tls-psk-file exclude each other');
  }
  if (type === 'psk' && pskFile === undefined)
    throw new NbdUriError('Invalid NBD URI: tls-type=psk requires tls-psk-file');
  if (type === 'x509' && pskFile !== undefined)
    throw new NbdUriError('Invalid NBD URI: tls-psk-file requires tls-type=psk');
  if (certificates !== undefined) checkPath('tls-certificates', certificates);
  if (pskFile !== undefined) checkPath('tls-psk-file', pskFile);
  const verify = parameters.get('tls-verify-peer') ?? '1';
  if (verify !== '0' && verify !== '1') {
    throw new NbdUriError(`Invalid NBD URI: invalid tls-verify-peer "${printable(verify)}": expected 0 or 1`);
  }
  const hostname = parameters.get('tls-hostname') ?? (address.type === 'tcp' ? address.host : undefined);
  const verifyPeer = verify === '1';
  if (hostname === undefined && pskFile === undefined && verifyPeer) {
    throw new NbdUriError('Invalid NBD URI: to verify the server at a unix socket, add tls-hostname=NAME');
  }
  return { hostname, certificates, pskFile, username: parameters.get('tls-username') ?? user, verifyPeer };
}

/** A server of vdpa has another working directory than the command that starts it. */
function checkPath(parameter: string, path: string): void {
  if (path.startsWith('/') && !path.includes('\0')) return;
  throw new NbdUriError(`Invalid NBD URI: ${parameter} must be an absolute path`);
}

/** Decodes percent-encoded text. @throws NbdUriError */
function decode(what: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new NbdUriError(`Invalid NBD URI: the ${what} is not percent-encoded UTF-8`);
  }
}

/** Text of a user for an error: without control characters, and short. */
function printable(text: string): string {
  return text.replaceAll(/\p{C}/gu, '?').slice(0, 64);
}
