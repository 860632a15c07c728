import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ask, listen, type ServerRequest } from '../../../src/vduse/daemon/socket.js';

test('a server that dies before it accepts the connection counts as not listening', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'vdpa-socket-'));
  const socketPath = join(folder, 'socket');
  try {
    // It listens, and then only waits.
    const script = `require('net').createServer().listen(process.argv[1], () => {
      require('fs').writeSync(1, '.');
      for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    })`;
    const server = spawn(process.execPath, ['-e', script, socketPath], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(server.stdout, 'data');
    const answer = ask({ name: 'foo0', socketPath }, { do: 'status' });
    server.kill('SIGKILL');
    // This thread checks the connection only after the server has died.
    while (/^State:\t[^ZX]/m.test(readFileSync(`/proc/${server.pid}/status`, 'utf8')));
    assert.equal(await answer, undefined);
    assert.equal(await ask({ name: 'foo0', socketPath }, { do: 'status' }), undefined);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('an invalid request is answered with an error, and neither stops a server nor is a status', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'vdpa-socket-'));
  const socketPath = join(folder, 'socket');
  const requests: ServerRequest[] = [];
  const server = await listen(socketPath, (request) => {
    requests.push(request);
    return Promise.resolve({ ended: true });
  });
  try {
    for (const request of ['{}', '{"do":"stop"}', '"end"', 'null', 'end']) {
      const socket = connect({ path: socketPath });
      socket.setEncoding('utf8').write(`${request}\n`);
      const [answer] = (await once(socket, 'data')) as [string];
      assert.match(answer, /^\{"error":".+"\}\n$/, request);
      socket.destroy();
    }
    assert.deepEqual(requests, []);
  } finally {
    server.close();
    rmSync(folder, { recursive: true });
  }
});

test('an answer that is none of a server is an error', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'vdpa-socket-'));
  const socketPath = join(folder, 'socket');
  let answer = '';
  const server = createServer((socket) => socket.end(`${answer}\n`)).listen(socketPath);
  await once(server, 'listening');
  try {
    for (answer of ['{}', 'null', '{"status":1}', '{"ended":false}', '{"error":{}}']) {
      await assert.rejects(ask({ name: 'foo0', socketPath }, { do: 'status' }), {
        name: 'VduseError',
        message: 'The server of foo0 sent an invalid answer',
      });
    }
  } finally {
    server.close();
    rmSync(folder, { recursive: true });
  }
});
