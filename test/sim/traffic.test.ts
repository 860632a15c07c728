// Counters that move: described traffic of hardware.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMachine } from '../../src/sim/state/description.js';
import { vdpa as vdpaOn } from '../support/command-line.js';
import { SimulatedFiles } from '../../src/sim/machine/files/simulated-files.js';
import { TestMachine } from '../support/test-machine.js';

/** A card with this traffic, and a clock that stands still until it is set. */
function machineWith(vstats: object, driver?: string) {
  const card = { driver, max_supported_vqs: 9, dev_features: ['MAC', 'VERSION_1', 'ACCESS_PLATFORM'], vstats };
  const clock = { now: 1_700_000_000_000 };
  const described = parseMachine(JSON.stringify({ mgmtdev: { 'pci/0000:03:00.2': card } }), 'it');
  const machine = new TestMachine(described, [], () => clock.now);
  const files = new SimulatedFiles(machine.store);
  const run = async (line: string): Promise<string> => {
    const { status, stdout, stderr } = await machine.vdpa(line);
    assert.deepEqual([status, stderr], [0, ''], line);
    return stdout;
  };
  const counters = async (queue = 0): Promise<Record<string, unknown>> => {
    const { vstats: shown } = JSON.parse(await run(`-j dev vstats show a qidx ${queue}`)) as {
      vstats: { a: Record<string, unknown> };
    };
    const { received_desc, completed_desc } = shown.a;
    return { received_desc, completed_desc };
  };
  return { clock, files, machine, run, counters };
}

const add = 'dev add mgmtdev pci/0000:03:00.2 name a mac 00:11:22:33:44:55';

for (const driver of ['mlx5_vdpa', undefined]) {
  test(`counters of ${driver ?? 'other hardware'} increase with the time since the driver started the device`, async () => {
    const described = { received_desc: { start: 16, per_second: 100 }, completed_desc: 7 };
    const { clock, counters, run, files } = machineWith(described, driver);
    await run(add);
    assert.deepEqual(await counters(), { received_desc: 16, completed_desc: 7 });
    clock.now += 2_509;
    assert.deepEqual(await counters(), { received_desc: 16 + 250, completed_desc: 7 });
    assert.deepEqual(await counters(1), { received_desc: 16 + 250, completed_desc: 7 });
    // A clock that was set back does not make them lower than at the start.
    clock.now -= 10_000;
    assert.deepEqual(await counters(), { received_desc: 16, completed_desc: 7 });
    clock.now += 60_000;
    assert.deepEqual(await counters(), { received_desc: 16 + 5_250, completed_desc: 7 });
    // Another start resets the device.
    files.write('unbind', '/sys/bus/vdpa/drivers/virtio_vdpa/unbind', 'a');
    clock.now += 1_000;
    files.write('bind', '/sys/bus/vdpa/drivers/virtio_vdpa/bind', 'a');
    clock.now += 1_000;
    assert.deepEqual(await counters(), { received_desc: 116, completed_desc: 7 });
  });
}

test('a counter is a number of 64 bits, and exact', async () => {
  const most = Number.MAX_SAFE_INTEGER;
  const { clock, run } = machineWith({ packets: { start: most, per_second: most } });
  await run(add);
  clock.now += 2_047_000;
  const exact = BigInt(most) * 2048n;
  assert.match(await run('dev vstats show a qidx 0'), new RegExp(` packets ${exact} ?\n`));
  clock.now += 1_000;
  const wrapped = BigInt.asUintN(64, BigInt(most) * 2049n);
  assert.match(await run('dev vstats show a qidx 0'), new RegExp(` packets ${wrapped} ?\n`));
});

test('-w shows their rate', async () => {
  const { clock, machine, run } = machineWith({ packets: { per_second: 250_000 } });
  await run(add);
  const client = await machine.client();
  const documents: { seconds: number; counters: { name: string; rate?: number }[] }[] = [];
  const started = performance.now();
  const begin = clock.now;
  const { status } = await vdpaOn('-j -w dev stats show a', {
    openTransport: () => {
      // From here on the clock of the machine runs.
      Object.defineProperty(clock, 'now', { get: () => begin + Math.round(performance.now() - started) });
      return machine.openTransport();
    },
    stdout: (text) => {
      documents.push(JSON.parse(text) as (typeof documents)[0]);
      if (documents.length === 2) void client.deleteDevice('a');
    },
  });
  assert.equal(status, 1);
  const rates = documents[1]?.counters.map((counter) => counter.rate ?? 0) ?? [];
  assert.ok(rates.length > 0);
  // A busy machine takes samples late.
  for (const rate of rates) assert.ok(rate > 50_000 && rate < 1_250_000, `${rate} per second`);
});

test('a description of traffic is checked', () => {
  for (const counter of [{}, { start: 1 }, { per_second: -1 }, { per_second: 1, end: 2 }, { per_second: 0.5 }]) {
    const text = JSON.stringify({ mgmtdev: { 'pci/0000:03:00.2': { vstats: { packets: counter } } } });
    assert.throws(() => parseMachine(text, 'it'), { name: 'SimulationError', message: /\/vstats\/packets/ });
  }
});
