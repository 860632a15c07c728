/**
 * A program that moves bytes over TCP and prints their checksum:
 *
 *     tcp.js listen PORT            accepts one connection and receives all its data
 *     tcp.js send ADDRESS PORT FILE
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { connect, createServer } from 'node:net';
import { pipeline } from 'node:stream/promises';

const [action = '', ...words] = process.argv.slice(2);
const hash = createHash('md5');

async function* hashed(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
}

if (action === 'send') {
  const [host = '', port, file = ''] = words;
  const socket = connect({ host, port: Number(port) });
  await pipeline(createReadStream(file, { highWaterMark: 1024 * 1024 }), hashed, socket);
  console.log(hash.digest('hex'));
} else {
  const server = createServer((socket) => {
    socket.on('data', (chunk) => hash.update(chunk));
    socket.on('end', () => {
      console.log(hash.digest('hex'));
      socket.end();
      server.close();
    });
  });
  server.listen(Number(words[0]), '::');
}
