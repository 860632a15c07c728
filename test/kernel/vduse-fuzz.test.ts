import '../support/kernel/inside.js';
import assert from 'node:assert/strict';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { Random } from '../support/random.js';
import { BlockServerProcess } from '../support/kernel/block-server-process.js';
import { FuzzDriver, type FuzzCounts } from '../support/kernel/fuzz-driver.js';
import { VhostBlock } from '../support/kernel/vhost-block.js';
import { attach, bash, detach, diskOf, giveToVhost } from '../support/kernel/vduse.js';

const MIB = 1024 * 1024;
/** How long: VDPA_FUZZ_SECONDS. */
const SECONDS = Number(process.env['VDPA_FUZZ_SECONDS'] ?? 30);
/** With what: VDPA_FUZZ_SEED. Another each day, said in the results, so that a failure can be had again. */
const SEED = Number(process.env['VDPA_FUZZ_SEED'] ?? Math.floor(Date.now() / 86_400_000));
/** So many lives of the device between two looks at whether all is well. */
const ROUNDS = 100;
/** What the server may have more of in the end: heaps breathe. */
const LEAK_BYTES = 48 * MIB;

const DEVICE = { queues: 2, queueSize: 64, sectors: (32 * MIB) / 512 };

test('fuzzed driver: the server lives, serves after a reset, and does not grow; another device does not notice', async (context) => {
  await bash('truncate -s 32M /tmp/fuzzed');
  const { sectors, ...queues } = DEVICE;
  const server = await BlockServerProcess.start(
    { name: 'ram', storage: { backend: 'ram', size: sectors * 512 }, ...queues },
    { name: 'file', storage: { backend: 'file', path: '/tmp/fuzzed' }, ...queues },
    { name: 'neighbour', storage: { backend: 'ram', size: 16 * MIB } },
  );
  for (const name of ['ram', 'file', 'neighbour']) await attach(name);
  const neighbour = await diskOf('neighbour');
  const sum = (): Promise<string> => bash(`dd if=${neighbour} bs=64k count=16 iflag=direct status=none | md5sum`);
  await bash(`dd if=/dev/urandom of=${neighbour} bs=64k count=16 oflag=direct status=none`);
  const expected = await sum();
  const random = new Random(SEED);
  const drivers = [new VhostBlock(await giveToVhost('ram'), queues), new VhostBlock(await giveToVhost('file'), queues)];
  const fuzzers = drivers.map((driver) => new FuzzDriver(driver, random, DEVICE));
  const total = (what: keyof FuzzCounts): number => fuzzers.reduce((sum, { counts }) => sum + counts[what], 0);
  const check = async (): Promise<number> => {
    for (const fuzzer of fuzzers) fuzzer.end();
    for (const driver of drivers) {
      driver.start();
      for (let queue = 0; queue < queues.queues; queue++) driver.checkService(queue, queue);
    }
    assert.equal(await sum(), expected, 'the other device has another content');
    assert.equal((await server.device('neighbour')).queues[0]?.errors, 0);
    return (await server.status()).rss;
  };
  const fuzz = async (): Promise<number> => {
    try {
      for (let round = 0; round < ROUNDS; round++) for (const fuzzer of fuzzers) fuzzer.round();
      await setImmediate();
      assert.equal(server.ended, undefined);
      return await check();
    } catch (error) {
      await sleep(1000);
      const log = await bash('dmesg | tail -n 8');
      const how = server.ended ?? `it lives; its threads:\n${await server.threads()}`;
      throw new Error(`seed ${SEED}, life ${total('lives')}; the server: ${how}\n${log}`, { cause: error });
    }
  };

  // The first rounds warm the server up: its code gets compiled, its heaps get their size.
  const warm = performance.now() + Math.min(10, SECONDS / 3) * 1000;
  let before = 0;
  while (performance.now() < warm) before = await fuzz();
  const end = performance.now() + SECONDS * 1000;
  let last = before;
  while (performance.now() < end) last = await fuzz();
  context.diagnostic(
    `seed ${SEED}, ${SECONDS} s: ${total('lives')} lives of a device, ${total('chains')} chains offered, ` +
      `${total('used')} came back, ${total('maps')} changes of memory, ${server.broken.length} rings broken; ` +
      `resident size ${(before / MIB).toFixed(1)} MiB at the start, ${(last / MIB).toFixed(1)} MiB at the end`,
  );
  assert.ok(last - before < LEAK_BYTES, `the server has grown by ${(last - before) / MIB} MiB`);
  assert.ok(server.broken.length > 0 && total('used') > 0, 'the driver was not hostile, or not understood');
  for (const driver of drivers) driver.close();
  for (const name of ['ram', 'file', 'neighbour']) await detach(name);
  await server.stop();
});
