import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BusyPoll } from '../../../src/vduse/engine/busy-poll.js';

/** Asks before so many sleeps, none of the looks finding anything; how often it looked before each. */
function misses(polling: BusyPoll, sleeps: number): number[] {
  return Array.from({ length: sleeps }, () => {
    const looks = polling.looks();
    if (looks > 0) polling.missed();
    return looks;
  });
}

test('polling that finds nothing soon looks no more than once in a while', () => {
  const polling = new BusyPoll();
  const looks = misses(polling, 10_000);
  const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
  assert.ok(Math.max(...looks) <= 32);
  assert.ok((looks[0] ?? 0) > 0);
  // Less than a look a sleep, in the end.
  assert.ok(sum(looks.slice(-1000)) < 1000, String(sum(looks.slice(-1000))));
  assert.ok(looks.slice(-100).includes(0));
  // It never gives up for good.
  assert.ok(looks.slice(-100).some((count) => count > 0));
});

test('polling that finds something looks about as often as it took, and goes on', () => {
  const polling = new BusyPoll();
  misses(polling, 1000);
  while (polling.looks() === 0);
  polling.found(3);
  for (let sleep = 0; sleep < 100; sleep++) {
    assert.equal(polling.looks(), 6);
    polling.found(3);
  }
  polling.found(30);
  assert.equal(polling.looks(), 32);
});
