import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { NetLoad } from '../../src/benchmark/load.js';
import { Meter } from '../../src/benchmark/meter.js';
import { NetLane } from '../../src/benchmark/net-lane.js';
import { BenchDevice, LANES } from '../support/bench-device.js';
import { FORMS } from '../support/queue-and-driver.js';

const load: NetLoad = {
  type: 'net',
  blockSize: 64,
  depth: 4,
  queues: 1,
  queueSize: 64,
  features: 0n,
  mac: Uint8Array.of(2, 0, 0, 0, 0, 7),
};

function setUp(loops: boolean, { packed = false, eventIndex = false } = {}) {
  const device = new BenchDevice({ packed, eventIndex, queues: 2 });
  const meter = new Meter([loops ? 'loop' : 'send'], load.blockSize);
  const lane = new NetLane(device, load, LANES, loops);
  lane.fill(meter);
  /** Takes the packets that were sent. */
  const sent = (): Uint8Array[] => {
    const packets: Uint8Array[] = [];
    device.serve(1, (chain) => {
      const packet = new Uint8Array(chain.readableBytes);
      chain.read(packet);
      packets.push(packet);
      return 0;
    });
    return packets;
  };
  /** Delivers packets. */
  const deliver = (packets: readonly Uint8Array[]): void => {
    const left = [...packets];
    device.serve(0, (chain) => {
      const packet = left.shift();
      if (packet === undefined) return undefined;
      chain.write(packet);
      return packet.length;
    });
    assert.deepEqual(left, []);
  };
  return { device, lane, meter, sent, deliver };
}

for (const { name, packed } of FORMS) {
  describe(`${name} queues`, () => {
    for (const eventIndex of [false, true]) {
      test(`packets that come back, event index ${eventIndex}`, () => {
        const { lane, meter, sent, deliver } = setUp(true, { packed, eventIndex });
        for (let round = 0; round < 40; round++) {
          const packets = sent();
          assert.equal(packets.length, 4);
          assert.equal(lane.turn(meter, true), 0, 'they were sent, and have not come back');
          deliver(packets.reverse());
          assert.equal(lane.turn(meter, true), 4);
          assert.equal(lane.inFlight, 4);
        }
        const [loop] = meter.measurement().operations;
        assert.deepEqual([loop?.name, loop?.requests, loop?.bytes], ['loop', 160, 160 * 64]);
      });

      test(`packets that are only sent, event index ${eventIndex}`, () => {
        const { lane, meter, sent } = setUp(false, { packed, eventIndex });
        for (let round = 0; round < 40; round++) {
          assert.equal(sent().length, 4);
          assert.equal(lane.turn(meter, true), 4);
        }
        assert.equal(meter.requests, 160);
      });
    }
  });
}

test('packets are frames from the device to itself, each with a number', () => {
  const { sent } = setUp(false);
  const [first, second] = sent();
  assert.equal(first?.length, 12 + 64);
  assert.deepEqual([...first.subarray(12, 26)], [2, 0, 0, 0, 0, 7, 2, 0, 0, 0, 0, 7, 0x88, 0xb5]);
  assert.notDeepEqual(first, second);
});

test('a packet may come back before its buffer does', () => {
  const { lane, meter, sent, deliver, device } = setUp(true);
  const packets = sent();
  lane.turn(meter, false);
  assert.equal(lane.inFlight, 4);
  deliver(packets);
  assert.equal(lane.turn(meter, false), 4);
  assert.equal(lane.inFlight, 0);
  assert.ok((device.kicks[0] ?? 0) >= 1, 'the receive buffers were given back');
});

test('receive buffers are given back where packets only count as sent', () => {
  const { lane, meter, sent, deliver } = setUp(false);
  for (let round = 0; round < 40; round++) {
    deliver(sent());
    assert.equal(lane.turn(meter, true), 4);
  }
});

test('packets of others, short ones and old ones do not count', () => {
  const { lane, meter, sent, deliver } = setUp(true);
  const [packet = new Uint8Array(), ...others] = sent();
  const foreign = packet.slice();
  foreign[24] = 8;
  deliver([foreign, packet.subarray(0, 20), packet]);
  assert.equal(lane.turn(meter, true), 1);
  deliver([packet]);
  assert.equal(lane.turn(meter, true), 0);
  deliver(others);
  assert.equal(lane.turn(meter, true), 3);
});

test('what does not come back within a second is lost, and another packet is sent instead', (t) => {
  const { lane, meter, sent } = setUp(true);
  sent();
  lane.turn(meter, true);
  lane.expire(meter, true);
  assert.equal(meter.lost, 0);
  const now = performance.now();
  t.mock.method(performance, 'now', () => now + 1100);
  lane.expire(meter, true);
  assert.equal(meter.lost, 4);
  assert.equal(lane.inFlight, 4);
  assert.equal(sent().length, 4);
});

test('a buffer that the device did not have is an error', () => {
  const { lane, meter, device } = setUp(true);
  device.serve(0, (chain) => {
    Object.assign(chain, { head: 50 });
    return 60;
  });
  assert.throws(() => lane.turn(meter, true), /descriptor 50, which is not in flight/);
});
