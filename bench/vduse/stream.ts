/**
 * A program that moves bytes over TCP: `stream.js listen PORT` takes one connection and prints bytes and seconds as JSON;
 * `stream.js send ADDRESS PORT SECONDS` sends.
 */
import { connect, createServer } from 'node:net';

const [action = '', ...words] = process.argv.slice(2);

if (action === 'send') {
  const [host = '', port, seconds] = words;
  const piece = new Uint8Array(256 * 1024);
  const socket = connect({ host, port: Number(port) });
  const end = performance.now() + Number(seconds) * 1000;
  const fill = (): void => {
    while (performance.now() < end) if (!socket.write(piece)) return;
    socket.end();
  };
  socket.on('connect', fill).on('drain', fill);
} else {
  const server = createServer((socket) => {
    const begin = performance.now();
    let bytes = 0;
    socket.on('data', (chunk) => (bytes += chunk.length));
    socket.on('end', () => {
      console.log(JSON.stringify({ bytes, seconds: (performance.now() - begin) / 1000 }));
      socket.end();
      server.close();
    });
  });
  server.listen(Number(words[0]));
}
