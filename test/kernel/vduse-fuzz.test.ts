import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { FORMS } from '../support/queue-and-driver.js';
import { Random } from '../support/random.js';
import { FuzzBlock } from '../support/kernel/drivers/fuzz-block.js';
import { FuzzDriver, type FuzzCounts } from '../support/kernel/drivers/fuzz-driver.js';
import { FuzzNet } from '../support/kernel/drivers/fuzz-net.js';
import { PacketSocket } from '../support/kernel/drivers/packet-socket.js';
import { ServerProcess } from '../support/kernel/servers/server-process.js';
import { VhostBlock } from '../support/kernel/drivers/vhost-block.js';
import type { VhostDriver } from '../../src/vhost/driver.js';
import { VhostNet } from '../support/kernel/drivers/vhost-net.js';
import { attach, bash, detach, diskOf, giveToVhost, sh } from '../support/kernel/servers/vduse.js';

const { describe, test } = testsWith(VDUSE);

const MIB = 1024 * 1024;
/** The duration: VDPA_FUZZ_SECONDS. */
const SECONDS = Number(process.env['VDPA_FUZZ_SECONDS'] ?? 60);
/** During the first seconds code is compiled, and heaps reach their size. */
const WARM_SECONDS = Math.min(20, SECONDS / 3);
/** The seed: VDPA_FUZZ_SEED. It changes each day, and the results report it, so that failures can be reproduced. */
const SEED = Number(process.env['VDPA_FUZZ_SEED'] ?? Math.floor(Date.now() / 86_400_000));
/** How many lives each device has between two checks. */
const ROUNDS = 20;
/** Fewer lives than this measure noise: on a slow machine the test runs longer, up to LONGEST times. */
const MEASURED_LIVES = 500;
const LONGEST = 4;
/** How much more memory a server may use for each life of a device, in bytes. Leaked views amount to some 1,500. */
const LEAK_PER_LIFE = 500;
/** And how much more in any case: some objects exist in one measurement but not in the other. */
const NOISE_BYTES = MIB / 4;
/** How much its resident size may grow overall: heaps expand and shrink. */
const GROWTH_BYTES = 48 * MIB;

const QUEUES = { queues: 2, queueSize: 64 };
const SECTORS = (32 * MIB) / 512;
const DEVICES = ['ram', 'file', 'loop', 'tap'] as const;

/** A device, its hostile driver, and a check that the device still works. */
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

/** The server's memory after this many lives. */
interface Look {
  readonly lives: number;
  readonly rss: number;
  readonly bytes: number;
}

const leastInUse = (looks: readonly Look[]): Look =>
  looks.reduce((least, look) => (look.bytes < least.bytes ? look : least));

/** Attacks devices of every kind. @param packed they offer packed queues, which most lives of a driver accept */
async function attack(context: TestContext, packed: boolean): Promise<void> {
  await bash('truncate -s 32M /tmp/fuzzed');
  const server = await ServerProcess.start(
    { name: 'ram', backend: { type: 'ram', size: SECTORS * 512 }, ...QUEUES, packed },
    { name: 'file', backend: { type: 'file', path: '/tmp/fuzzed' }, ...QUEUES, packed },
    { name: 'loop', backend: { type: 'loopback' }, queueSize: QUEUES.queueSize, packed },
    { name: 'tap', backend: { type: 'tap', ifname: 'fuzzed' }, queueSize: QUEUES.queueSize, packed },
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
  // An open node would keep the kernel from deleting its device, and this process from exiting.
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
    assert.equal(await sum(), expected, 'the content of the other device has changed');
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
      await sleep(1000); // There is no event for the kernel having logged the reason.
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
  // Garbage comes and goes: the minimum in use shows what stays.
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
  assert.ok(server.broken.length > 0 && total('used') > 0, 'the driver was not hostile, or made no valid request');
}

for (const { name, packed } of FORMS) {
  describe(`${name} queues`, () => {
    test('fuzzed driver: the server survives, serves after a reset, and does not grow; another device is unaffected', (context) =>
      attack(context, packed));
  });
}
