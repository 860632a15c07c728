import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { Random } from '../support/random.js';
import { FuzzBlock } from '../support/kernel/drivers/fuzz-block.js';
import { FuzzDriver, type FuzzCounts } from '../support/kernel/drivers/fuzz-driver.js';
import { FuzzNet } from '../support/kernel/drivers/fuzz-net.js';
import { PacketSocket } from '../support/kernel/drivers/packet-socket.js';
import { ServerProcess } from '../support/kernel/servers/server-process.js';
import { VhostBlock } from '../support/kernel/drivers/vhost-block.js';
import type { VhostDriver } from '../support/kernel/drivers/vhost-driver.js';
import { VhostNet } from '../support/kernel/drivers/vhost-net.js';
import { attach, bash, detach, diskOf, giveToVhost, sh } from '../support/kernel/servers/vduse.js';

const { test } = testsWith(VDUSE);

const MIB = 1024 * 1024;
/** How long: VDPA_FUZZ_SECONDS. */
const SECONDS = Number(process.env['VDPA_FUZZ_SECONDS'] ?? 60);
/** In the first of them code gets compiled, and heaps get their size. */
const WARM_SECONDS = Math.min(20, SECONDS / 3);
/** With what: VDPA_FUZZ_SEED. Another each day, said in the results, so that a failure can be had again. */
const SEED = Number(process.env['VDPA_FUZZ_SEED'] ?? Math.floor(Date.now() / 86_400_000));
/** So many lives of each device between two looks at whether all is well. */
const ROUNDS = 20;
/** What is measured within fewer lives is chance: on a slow machine it goes on for longer, up to this many times. */
const MEASURED_LIVES = 500;
const LONGEST = 4;
/** What a server may have more in use for each life of a device, in bytes. Views that are lost make some 1,500. */
const LEAK_PER_LIFE = 500;
/** And what it may have more of in any case: an object that is there the one time and not the other. */
const NOISE_BYTES = MIB / 4;
/** What it may have more of in the end altogether, of all that is resident: heaps breathe. */
const GROWTH_BYTES = 48 * MIB;

const QUEUES = { queues: 2, queueSize: 64 };
const SECTORS = (32 * MIB) / 512;
const DEVICES = ['ram', 'file', 'loop', 'tap'] as const;

/** A device, the driver that maltreats it, and how the driver sees that it is well. */
interface Target {
  readonly driver: VhostDriver;
  readonly fuzzer: FuzzDriver;
  readonly check: () => void | Promise<void>;
}

function blockTarget(driver: VhostBlock, random: Random): Target {
  const check = (): void => {
    for (let queue = 0; queue < QUEUES.queues; queue++) driver.checkService(queue, queue);
  };
  return { driver, fuzzer: new FuzzDriver(driver, new FuzzBlock(driver, random, SECTORS), random, QUEUES), check };
}

function netTarget(driver: VhostNet, random: Random): Target {
  const check = (): Promise<void> => driver.checkService(random.below(256));
  return { driver, fuzzer: new FuzzDriver(driver, new FuzzNet(driver, random), random, QUEUES), check };
}

/** What the server had in use after so many lives. */
interface Look {
  readonly lives: number;
  readonly rss: number;
  readonly bytes: number;
}

const leastInUse = (looks: readonly Look[]): Look =>
  looks.reduce((least, look) => (look.bytes < least.bytes ? look : least));

test('fuzzed driver: the server survives, serves after a reset, and does not grow; another device is unaffected', async (context) => {
  await bash('truncate -s 32M /tmp/fuzzed');
  const server = await ServerProcess.start(
    { name: 'ram', backend: { type: 'ram', size: SECTORS * 512 }, ...QUEUES },
    { name: 'file', backend: { type: 'file', path: '/tmp/fuzzed' }, ...QUEUES },
    { name: 'loop', backend: { type: 'loopback' }, queueSize: QUEUES.queueSize },
    { name: 'tap', backend: { type: 'tap', ifname: 'fuzzed' }, queueSize: QUEUES.queueSize },
    { name: 'neighbour', backend: { type: 'ram', size: 16 * MIB } },
  );
  for (const name of [...DEVICES, 'neighbour']) await attach(name);
  const neighbour = await diskOf('neighbour');
  const sum = (): Promise<string> => bash(`dd if=${neighbour} bs=64k count=16 iflag=direct status=none | md5sum`);
  await bash(`dd if=/dev/urandom of=${neighbour} bs=64k count=16 oflag=direct status=none`);
  const expected = await sum();
  await sh('ip link set fuzzed up');
  const peer = new PacketSocket('fuzzed');
  const random = new Random(SEED);
  const targets = [
    blockTarget(new VhostBlock(await giveToVhost('ram'), QUEUES), random),
    blockTarget(new VhostBlock(await giveToVhost('file'), QUEUES), random),
    netTarget(new VhostNet(await giveToVhost('loop'), QUEUES.queueSize), random),
    netTarget(new VhostNet(await giveToVhost('tap'), QUEUES.queueSize, peer), random),
  ];
  // An open node would keep the kernel from deleting its device, and this process from its end.
  context.after(async () => {
    peer.close();
    for (const { driver } of targets) driver.close();
    for (const name of [...DEVICES, 'neighbour']) await detach(name);
    await server.stop();
  });
  const total = (what: keyof FuzzCounts): number => targets.reduce((sum, { fuzzer }) => sum + fuzzer.counts[what], 0);
  const check = async (): ReturnType<ServerProcess['status']> => {
    for (const { fuzzer } of targets) fuzzer.end();
    for (const { driver, check } of targets) {
      driver.start();
      await check();
    }
    assert.equal(await sum(), expected, 'the other device has another content');
    assert.equal((await server.device('neighbour')).queues[0]?.errors, 0);
    return server.status();
  };
  const fuzz = async (): ReturnType<typeof check> => {
    try {
      for (let round = 0; round < ROUNDS; round++) for (const { fuzzer } of targets) fuzzer.round();
      await setImmediate();
      assert.equal(server.ended, undefined);
      return await check();
    } catch (error) {
      await sleep(1000); // Nothing tells when the kernel has written the reason into its log.
      const log = await bash('dmesg | tail -n 8');
      const how = server.ended ?? `it lives; its threads:\n${await server.threads()}`;
      throw new Error(`seed ${SEED}, life ${total('lives')}; the server: ${how}\n${log}`, { cause: error });
    }
  };

  const begin = performance.now();
  const looks: Look[] = [];
  const measured = (): number => total('lives') - (looks[0]?.lives ?? total('lives'));
  const goesOn = (seconds: number): boolean =>
    seconds < SECONDS || (measured() < MEASURED_LIVES && seconds < SECONDS * LONGEST);
  for (let seconds = 0; goesOn(seconds); seconds = (performance.now() - begin) / 1000) {
    const { rss, inUse } = await fuzz();
    if (seconds >= WARM_SECONDS) looks.push({ lives: total('lives'), rss, bytes: inUse.bytes });
  }
  // What waits for being collected comes and goes: the least that was in use tells what stays.
  const third = Math.ceil(looks.length / 3);
  const first = leastInUse(looks.slice(0, third));
  const last = leastInUse(looks.slice(-third));
  const lives = last.lives - first.lives;
  const leaked = last.bytes - first.bytes;
  context.diagnostic(
    `seed ${SEED}, ${SECONDS} s: ${total('lives')} lives of a device, ${total('chains')} chains offered, ` +
      `${total('used')} came back, ${total('maps')} changes of memory, ${server.broken.length} rings broken; ` +
      `within ${lives} lives after it had warmed up: resident size ${(first.rss / MIB).toFixed(1)} MiB at the start, ` +
      `${(last.rss / MIB).toFixed(1)} MiB at the end; in use ${(first.bytes / MIB).toFixed(2)} MiB and ` +
      `${(last.bytes / MIB).toFixed(2)} MiB, ${(leaked / lives).toFixed(0)} bytes more for each life`,
  );
  const allowed = NOISE_BYTES + LEAK_PER_LIFE * lives;
  assert.ok(leaked < allowed, `the server has ${leaked} bytes more in use after ${lives} lives of a device`);
  assert.ok(last.rss - first.rss < GROWTH_BYTES, `the server has grown by ${(last.rss - first.rss) / MIB} MiB`);
  assert.ok(server.broken.length > 0 && total('used') > 0, 'the driver was not hostile, or not understood');
});
