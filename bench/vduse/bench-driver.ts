/** How long the driver of `vdpa dev bench` takes for a request, without any device's time. */
import { BlockLane } from '../../src/benchmark/block-lane.js';
import type { BlockLoad } from '../../src/benchmark/load.js';
import { Meter } from '../../src/benchmark/meter.js';
import { BenchDevice, LANES } from '../../test/support/bench-device.js';
import { median } from '../measure.js';
import type { Row } from '../report.js';

const BLOCK = 4096;
/** Before it measures: the time in which V8 compiles what is executed often. */
const WARM_UP = 2000;
const TURNS = 5000;
const GOAL_US = 3;

/** Random reads of a device in the same thread, which completes all of them at once. */
export function measureBenchDriver(): Row[] {
  return [false, true].flatMap((packed) => [1, 32].map((depth) => row(packed, depth)));
}

function row(packed: boolean, depth: number): Row {
  const device = new BenchDevice({ packed, eventIndex: true });
  const meter = new Meter(['read'], BLOCK);
  const load: BlockLoad = {
    ...{ type: 'block', pattern: 'randread', blockSize: BLOCK, depth, queues: 1, queueSize: 64 },
    ...{ features: 0n, blocks: 2 ** 20, segmentBytes: BLOCK, indirect: true },
  };
  const lane = new BlockLane(device, 0, load, LANES);
  lane.fill(meter);
  const times: number[] = [];
  for (let turn = 0; turn < WARM_UP + TURNS; turn++) {
    device.serve(0, (chain) => {
      chain.writeByte(BLOCK, 0);
      return BLOCK + 1;
    });
    const begin = performance.now();
    const count = lane.turn(meter, true);
    if (turn >= WARM_UP) times.push(((performance.now() - begin) * 1000) / count);
  }
  const figure = median(times);
  const form = packed ? 'packed' : 'split';
  return {
    what: `the driver of dev bench, ${form}, depth ${depth}`,
    ours: `${figure.toFixed(2)} µs a request`,
    against: '',
    figure,
    goal: { atMost: GOAL_US },
    unit: 'µs',
  };
}
