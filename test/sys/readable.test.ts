import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { EPOLLIN, EPOLLOUT } from '../../src/sys/events.js';
import { close } from '../../src/sys/libc.js';
import { ready } from '../../src/sys/readable.js';
import { openStreamPair, receive, send } from '../../src/sys/stream-socket.js';

describe('waiting for a descriptor', () => {
  const [one, other] = openStreamPair();
  after(() => {
    close(one);
    close(other);
  });
  const openFiles = (): number => readdirSync('/proc/self/fd').length;

  test('ends with its event', async () => {
    await ready(one, EPOLLOUT);
    const readable = ready(one, EPOLLIN);
    send(other, Uint8Array.of(7));
    await readable;
    const bytes = new Uint8Array(1);
    assert.equal(receive(one, bytes), 1);
    assert.equal(bytes[0], 7);
  });

  test('is given up with a signal, and leaves no descriptor open', { timeout: 60_000 }, async () => {
    const before = openFiles();
    const giveUp = new AbortController();
    const readable = ready(one, EPOLLIN, giveUp.signal);
    giveUp.abort(new Error('enough'));
    await assert.rejects(readable, { message: 'enough' });
    while (openFiles() > before) await sleep(1);
    // The next one begins anew.
    await ready(one, EPOLLOUT);
  });

  test('does not begin after the signal', async () => {
    await assert.rejects(ready(one, EPOLLIN, AbortSignal.abort(new Error('enough'))), { message: 'enough' });
  });
});
