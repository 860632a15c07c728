import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { SimulatedKernel } from '../../src/sim/kernel.js';
import { bootState, bareMachine } from '../../src/sim/state/model.js';
import { play } from '../support/exchange.js';
import type { NetlinkEnd } from '../support/exchange.js';
import { scenarios } from '../support/scenarios.js';
import { MemoryStore } from '../../src/sim/state/store.js';

/** Recorded by test/support/kernel/lab/record-exchanges.ts on Linux 7.3.4. */
const recorded = JSON.parse(readFileSync('test/sim/exchanges.json', 'utf8')) as Record<string, string[]>;
const familyId = 0x13;

describe('the simulated kernel gives the recorded answers of a real one', () => {
  const store = new MemoryStore(bootState(bareMachine));
  const kernel = new SimulatedKernel(store);

  for (const { name, steps, extendedAck = true, cappedAck = true } of scenarios(familyId)) {
    test(name, () => {
      const end = kernel.openSocket(0, { extendedAck, cappedAck });
      const near: NetlinkEnd = {
        send: (datagram) => {
          end.deliver(datagram, true);
        },
        receive: (size) => end.receive(size),
        close: () => undefined,
      };
      assert.deepEqual(play(near, steps), recorded[name]);
      assert.deepEqual(store.read().devices, [], 'a scenario leaves no device behind');
    });
  }

  test('every recorded scenario is played', () => {
    assert.deepEqual(
      Object.keys(recorded).sort(),
      scenarios(familyId)
        .map(({ name }) => name)
        .sort(),
    );
  });
});
