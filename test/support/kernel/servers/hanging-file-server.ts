/**
 * A FUSE file system with one file, `disk`, full of the letter F; linux/fuse.h has the protocol. Started with fork(): argv
 * contains the mount point and the file's size; see hanging-file.ts.
 */
import { openSync, read, writeSync } from 'node:fs';
import { checked, libc } from '../../../../src/sys/libc.js';
import type { FromHangingFile, ToHangingFile } from './hanging-file.js';

const LOOKUP = 1;
const FORGET = 2;
const GETATTR = 3;
const OPEN = 14;
const READ = 15;
const WRITE = 16;
const STATFS = 17;
const INIT = 26;
const INTERRUPT = 36;
const BATCH_FORGET = 42;
const ENOSYS = -38;
const ROOT = 1n;
const DISK = 2n;
const S_IFDIR = 0o040755;
const S_IFREG = 0o100644;
const HEADER = 40;

const mount: (source: string, target: string, type: string, flags: number, data: string) => number = libc.func(
  'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
);

const [folder = '', size = '0'] = process.argv.slice(2);
const content = Buffer.alloc(Number(size), 'F');
const fd = openSync('/dev/fuse', 'r+');
checked(
  'mount a file system in user space',
  mount('hanging', folder, 'fuse', 0, `fd=${fd},rootmode=40000,user_id=0,group_id=0,allow_other`),
);

let hanging = false;
const held: (() => void)[] = [];
const say = (message: FromHangingFile): void => {
  process.send?.(message);
};

function attributes(node: bigint): Buffer {
  const bytes = Buffer.alloc(88);
  bytes.writeBigUInt64LE(node, 0);
  if (node === DISK) bytes.writeBigUInt64LE(BigInt(content.length), 8);
  bytes.writeUInt32LE(node === ROOT ? S_IFDIR : S_IFREG, 60);
  bytes.writeUInt32LE(1, 64);
  bytes.writeUInt32LE(4096, 80);
  return bytes;
}

/** The answer to a request: an error, or bytes. The cache timeouts are zero, so that the kernel asks for everything. */
function answer(opcode: number, node: bigint, body: Buffer): number | Buffer {
  switch (opcode) {
    case INIT: {
      const bytes = Buffer.alloc(64);
      bytes.writeUInt32LE(7, 0);
      bytes.writeUInt32LE(31, 4);
      bytes.writeUInt32LE(65536, 8);
      bytes.writeUInt16LE(16, 16);
      bytes.writeUInt16LE(12, 18);
      bytes.writeUInt32LE(65536, 20);
      bytes.writeUInt32LE(1, 24);
      return bytes;
    }
    case LOOKUP: {
      const entry = Buffer.alloc(40);
      entry.writeBigUInt64LE(DISK, 0);
      return body.toString('latin1', 0, body.indexOf(0)) === 'disk' ? Buffer.concat([entry, attributes(DISK)]) : -2;
    }
    case GETATTR:
      return Buffer.concat([Buffer.alloc(16), attributes(node)]);
    case OPEN:
      return Buffer.alloc(16);
    case READ: {
      const from = Number(body.readBigUInt64LE(8));
      return content.subarray(from, from + body.readUInt32LE(16));
    }
    case WRITE: {
      const length = body.readUInt32LE(16);
      body.copy(content, Number(body.readBigUInt64LE(8)), 40, 40 + length);
      const bytes = Buffer.alloc(8);
      bytes.writeUInt32LE(length, 0);
      return bytes;
    }
    case STATFS:
      return Buffer.alloc(80);
    default:
      return ENOSYS;
  }
}

function reply(request: Buffer): void {
  const opcode = request.readUInt32LE(4);
  if (opcode === FORGET || opcode === BATCH_FORGET || opcode === INTERRUPT) return;
  const said = answer(opcode, request.readBigUInt64LE(16), request.subarray(HEADER));
  const bytes = typeof said === 'number' ? Buffer.alloc(0) : said;
  const head = Buffer.alloc(16);
  head.writeUInt32LE(16 + bytes.length, 0);
  head.writeInt32LE(typeof said === 'number' ? said : 0, 4);
  request.copy(head, 8, 8, 16);
  try {
    writeSync(fd, Buffer.concat([head, bytes]));
  } catch {
    // The requesting process has exited.
  }
}

function listen(): void {
  const buffer = Buffer.alloc(65536 + 4096);
  read(fd, buffer, 0, buffer.length, null, (error, length) => {
    // It is unmounted.
    if (error && error.code !== 'EINTR' && error.code !== 'ENOENT') return;
    if (!error) {
      const request = buffer.subarray(0, length);
      if (hanging) {
        held.push(() => {
          reply(request);
        });
        say({ held: request.readUInt32LE(4) });
      } else {
        reply(request);
      }
    }
    listen();
  });
}

process.on('message', (message: ToHangingFile) => {
  hanging = message === 'hang';
  if (!hanging) for (const go of held.splice(0)) go();
});
listen();
say({ mounted: true });
