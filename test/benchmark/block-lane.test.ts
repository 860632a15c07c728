import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BlockLane, blockLaneBytes } from '../../src/benchmark/block-lane.js';
import type { BlockLoad } from '../../src/benchmark/load.js';
import { Meter } from '../../src/benchmark/meter.js';
import { operationsOf } from '../../src/benchmark/patterns.js';
import * as blk from '../../src/virtio/block.js';
import type { DescriptorChain } from '../../src/virtio/descriptor-chain.js';
import { BenchDevice, LANES, type Handler } from '../support/bench-device.js';
import { FORMS } from '../support/queue-and-driver.js';

const BLOCKS = 1000;

function load(changes: Partial<BlockLoad> = {}): BlockLoad {
  return {
    type: 'block',
    pattern: 'randread',
    blockSize: 4096,
    depth: 8,
    queues: 1,
    queueSize: 64,
    features: 0n,
    blocks: BLOCKS,
    segmentBytes: 4096,
    indirect: false,
    ...changes,
  };
}

interface Request {
  readonly type: number;
  readonly sector: number;
  readonly readable: number;
  readonly writable: number;
}

function readRequest(chain: DescriptorChain): Request {
  const header = new Uint8Array(blk.HEADER_SIZE);
  assert.equal(chain.read(header), header.length);
  const view = new DataView(header.buffer);
  return {
    type: view.getUint32(0, true),
    sector: Number(view.getBigUint64(8, true)),
    readable: chain.readableBytes,
    writable: chain.writableBytes,
  };
}

/** A disk that answers at once. */
function disk(seen: Request[], status: number = blk.VIRTIO_BLK_S_OK): Handler {
  return (chain) => {
    seen.push(readRequest(chain));
    chain.writeByte(chain.writableBytes - 1, status);
    return chain.writableBytes;
  };
}

function setUp(changes: Partial<BlockLoad> = {}, device = new BenchDevice()) {
  const plan = load(changes);
  const meter = new Meter(operationsOf(plan.pattern), plan.blockSize);
  const lane = new BlockLane(device, 0, plan, LANES);
  lane.fill(meter);
  return { device, lane, meter };
}

for (const { name, packed } of FORMS) {
  describe(`a ${name} queue`, () => {
    for (const eventIndex of [false, true]) {
      for (const indirect of [false, true]) {
        test(`is kept full, event index ${eventIndex}, indirect ${indirect}`, () => {
          const seen: Request[] = [];
          const { device, lane, meter } = setUp({ indirect }, new BenchDevice({ packed, eventIndex }));
          assert.equal(lane.inFlight, 8);
          assert.equal(device.kicks[0], 1);
          for (let round = 0; round < 50; round++) {
            device.serve(0, disk(seen));
            assert.equal(lane.turn(meter, true), 8);
            assert.equal(lane.inFlight, 8);
          }
          assert.equal(device.kicks[0], 51);
          device.serve(0, disk(seen));
          assert.equal(lane.turn(meter, false), 8);
          assert.equal(lane.turn(meter, false), 0);
          assert.equal(lane.inFlight, 0);
          assert.equal(seen.length, 408);
          for (const { type, sector, readable, writable } of seen) {
            assert.deepEqual([type, readable, writable], [blk.VIRTIO_BLK_T_IN, 16, 4097]);
            assert.ok(sector % 8 === 0 && sector < BLOCKS * 8);
          }
          assert.ok(new Set(seen.map(({ sector }) => sector)).size > 100);
          const [read] = meter.measurement().operations;
          assert.deepEqual([read?.name, read?.requests, read?.bytes], ['read', 408, 408 * 4096]);
          assert.equal(read?.latency.summary().count, 408);
        });
      }
    }

    test('wants an interrupt only while it is armed', () => {
      for (const eventIndex of [false, true]) {
        const { device, lane, meter } = setUp({ depth: 1 }, new BenchDevice({ packed, eventIndex }));
        // The first completion is at the event that a new split ring has.
        device.serve(0, disk([]));
        lane.turn(meter, true);
        assert.equal(device.serve(0, disk([])), false);
        lane.turn(meter, true);
        lane.arm();
        assert.equal(device.serve(0, disk([])), true);
        lane.turn(meter, true);
        lane.disarm();
        assert.equal(device.serve(0, disk([])), false);
      }
    });
  });
}

test('a sequential load has its blocks in order, from its share of the disk on, and begins again at the end', () => {
  const seen: Request[] = [];
  const device = new BenchDevice();
  const plan = load({ pattern: 'write', depth: 2, blocks: 5 });
  const meter = new Meter(['write'], plan.blockSize);
  const lane = new BlockLane(device, 0, plan, LANES, 0.5);
  lane.fill(meter);
  for (let round = 0; round < 3; round++) {
    device.serve(0, disk(seen));
    lane.turn(meter, true);
  }
  assert.deepEqual(
    seen.map(({ sector }) => sector / 8),
    [2, 3, 4, 0, 1, 2],
  );
  assert.ok(seen.every(({ type, readable, writable }) => type === 1 && readable === 16 + 4096 && writable === 1));
});

test('a mixed load has both, each counted for itself', () => {
  const seen: Request[] = [];
  const { device, lane, meter } = setUp({ pattern: 'randrw', indirect: true });
  for (let round = 0; round < 50; round++) {
    device.serve(0, disk(seen));
    lane.turn(meter, true);
  }
  const counts = meter.measurement().operations.map(({ name, requests }) => [name, requests]);
  const writes = seen.filter(({ type }) => type === blk.VIRTIO_BLK_T_OUT).length;
  assert.deepEqual(counts, [
    ['read', 400 - writes],
    ['write', writes],
  ]);
  assert.ok(writes > 100 && writes < 300);
});

test('data is in segments of the size that the disk permits', () => {
  const seen: Request[] = [];
  const { device, lane, meter } = setUp({ blockSize: 10_240, segmentBytes: 4096, depth: 2, blocks: 10 });
  device.serve(0, disk(seen));
  assert.equal(lane.turn(meter, false), 2);
  assert.deepEqual(
    seen.map(({ writable }) => writable),
    [10_241, 10_241],
  );
});

test('sectors beyond 2^32', () => {
  const seen: Request[] = [];
  const { device } = setUp({ pattern: 'randread', blocks: 2 ** 40 });
  device.serve(0, disk(seen));
  assert.ok(seen.some(({ sector }) => sector > 2 ** 40));
});

test('a request that fails, and one that was not made, are errors', () => {
  const { device, lane, meter } = setUp();
  device.serve(0, disk([], blk.VIRTIO_BLK_S_IOERR));
  assert.throws(() => lane.turn(meter, true), /a read has failed with status IOERR/);
  const other = setUp();
  other.device.serve(0, (chain) => {
    chain.writeByte(chain.writableBytes - 1, 0);
    Object.assign(chain, { head: chain.head + 1 });
    return 1;
  });
  assert.throws(() => other.lane.turn(other.meter, true), /descriptor 1, which is not in flight/);
});

test('a status that the device does not write is a failure', () => {
  const { device, lane, meter } = setUp();
  device.serve(0, () => 4097);
  assert.throws(() => lane.turn(meter, true), /failed with status 255/);
});

test('the memory of a lane holds its heads, tables and data', () => {
  assert.equal(blockLaneBytes(load({ depth: 8 })), 4096 + 8 * 4096);
  assert.equal(blockLaneBytes(load({ depth: 128, blockSize: 512 })), 12_288 + 128 * 4096);
});
