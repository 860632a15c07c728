import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ask } from '../../../src/vduse/daemon/socket.js';

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
