/**
 * A program that moves bytes over TCP: `stream.js listen PORT` takes one connection and prints bytes and seconds as JSON;
 * `stream.js send ADDRESS PORT SECONDS` sends. It does so with system calls on the same memory: streams of Node's take new
 * memory for what they read, which costs more in the lab than the way there.
 */
import { readSync, writeSync } from 'node:fs';
import { checked, close, libc } from '../../src/sys/libc.js';
import { bind, SOCK_CLOEXEC, socket } from '../../src/sys/socket.js';

const AF_INET = 2;
const SOCK_STREAM = 1;
/** struct sockaddr_in: u16 family, u16 port and u32 address in network byte order, 8 bytes of padding. */
const sockaddrBytes = 16;
const pieceBytes = 256 * 1024;

const listen: (fd: number, backlog: number) => number = libc.func('int listen(int fd, int backlog)');
const accept: (fd: number, address: number, length: number) => number = libc.func(
  'int accept(int fd, uintptr_t address, uintptr_t length)',
);
const connect: (fd: number, address: Uint8Array, length: number) => number = libc.func(
  'int connect(int fd, void *address, unsigned int length)',
);

function socketAddress(host: string, port: string): Uint8Array {
  const bytes = new Uint8Array(sockaddrBytes);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, Number(port));
  bytes.set(host.split('.').map(Number), 4);
  return bytes;
}

function send([host = '', port = '', seconds = '']: readonly string[]): void {
  checked('connect', connect(fd, socketAddress(host, port), sockaddrBytes));
  const end = performance.now() + Number(seconds) * 1000;
  while (performance.now() < end) writeSync(fd, piece);
}

function receive([port = '']: readonly string[]): void {
  checked('bind a socket', bind(fd, socketAddress('0.0.0.0', port), sockaddrBytes));
  checked('listen', listen(fd, 1));
  const connection = checked('accept a connection', accept(fd, 0, 0));
  const begin = performance.now();
  let bytes = 0;
  for (;;) {
    const length = readSync(connection, piece);
    if (length === 0) break;
    bytes += length;
  }
  console.log(JSON.stringify({ bytes, seconds: (performance.now() - begin) / 1000 }));
}

const [action = '', ...words] = process.argv.slice(2);
const fd = checked('open a socket', socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
const piece = new Uint8Array(pieceBytes).fill(1);
if (action === 'send') send(words);
else receive(words);
close(fd);
