import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BusyPoll } from '../../../src/vduse/engine/busy-poll.js';

/** The number of polls before each of `sleeps` sleeps, none of which finds work. */
function misses(polling: BusyPoll, sleeps: number): number[] {
  return Array.from({ length: sleeps }, () => {
    const spins = polling.spins();
    if (spins > 0) polling.miss();
    return spins;
  });
}

test('polling that finds nothing soon spins only occasionally', () => {
  const polling = new BusyPoll();
  const spins = misses(polling, 10_000);
  const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
  assert.ok(Math.max(...spins) <= 32);
  assert.ok((spins[0] ?? 0) > 0);
  // Less than one poll per sleep, in the end.
  assert.ok(sum(spins.slice(-1000)) < 1000, String(sum(spins.slice(-1000))));
  assert.ok(spins.slice(-100).includes(0));
  // It never stops completely.
  assert.ok(spins.slice(-100).some((count) => count > 0));
});

test('polling that finds something spins about as often as needed, and continues', () => {
  const polling = new BusyPoll();
  misses(polling, 1000);
  while (polling.spins() === 0);
  polling.hit(3);
  for (let sleep = 0; sleep < 100; sleep++) {
    assert.equal(polling.spins(), 6);
    polling.hit(3);
  }
  polling.hit(30);
  assert.equal(polling.spins(), 32);
});
