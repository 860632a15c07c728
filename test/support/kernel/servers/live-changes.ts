/** Changes of a served disk while requests are in flight: none may hang, be lost, or leave anything behind. */
import '../lab/inside.js';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, truncateSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestContext } from 'node:test';
import { BlockHistory } from '../../block-history.js';
import { Random } from '../../random.js';
import { BLOCK_BYTES, BlockLoad, numbersOf } from '../drivers/block-load.js';
import { nothingLeft, runningServers } from '../lab/leftovers.js';
import { NullDisk } from './null-disk.js';
import { errorsOf, show } from './shown.js';
import { attach, bash, detach, diskOf, giveToVhost, sh, start, until } from './vduse.js';

export interface LiveOptions {
  /** `none io_uring` */
  readonly mode: string;
  readonly rounds: number;
  readonly seed: number;
}

const NAME = 'live0';
const MIB = 1024 * 1024;
/** Rounds after which a server has all that it needs. */
const WARM_UP = 3;
/** What the heap of a process may vary by, in KiB. */
const TOLERANCE = 12 * 1024;

/** What the server of the device has. */
interface Holdings {
  readonly descriptors: number;
  /** Memory that is its own, in KiB. */
  readonly memory: number;
}

async function holdings(): Promise<Holdings> {
  const { pid = 0 } = await show(NAME);
  const memory = /^RssAnon:\s+([0-9]+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  return { descriptors: readdirSync(`/proc/${pid}/fd`).length, memory: Number(memory) };
}

/** A device that is served from a file or a disk. */
class LiveDisk {
  readonly history: BlockHistory;
  readonly random: Random;
  readonly #context: TestContext;
  #least: Holdings | undefined;
  #rounds = 0;

  static async serve(context: TestContext, path: string, blocks: number, options: LiveOptions): Promise<LiveDisk> {
    const [cache, aio] = options.mode.split(' ');
    await sh(`/run/bin/vdpa dev add mgmtdev vduse name ${NAME} path ${path} cache ${cache} aio ${aio} queues 2`);
    const shown = await show(NAME);
    assert.deepEqual([shown.cache, shown.aio], [cache, aio]);
    return new LiveDisk(context, blocks, options.seed);
  }

  private constructor(context: TestContext, blocks: number, seed: number) {
    this.#context = context;
    this.history = new BlockHistory(blocks);
    this.random = new Random(seed);
  }

  async load(): Promise<BlockLoad> {
    return new BlockLoad(await giveToVhost(NAME), this.history, this.random, 2);
  }

  /** Any moment between two instructions of the server, and of the disk. */
  async moment(load: BlockLoad): Promise<void> {
    await load.run(this.random.below(60));
    load.fill();
    for (const end = performance.now() + this.random.below(3000) / 1000; performance.now() < end;);
  }

  /** After each round, in the same state. */
  async check(): Promise<void> {
    this.#rounds++;
    if (this.#rounds < WARM_UP) return;
    this.#least ??= await holdings();
    if (this.#rounds % 10 !== 0) return;
    const { descriptors, memory } = this.#least;
    const now = await holdings();
    assert.ok(now.descriptors <= descriptors, `${now.descriptors} descriptors, ${descriptors} before`);
    assert.ok(now.memory < memory + TOLERANCE, `${now.memory} KiB, ${memory} before`);
    this.#context.diagnostic(
      `${this.#rounds} rounds: ${now.descriptors} descriptors, ${Math.round(now.memory / 1024)} MiB`,
    );
  }

  /** Deletes it. @param content of what it was served from, afterwards */
  async end(content: () => Promise<Buffer>): Promise<void> {
    assert.equal(await errorsOf(NAME), 0);
    await sh(`/run/bin/vdpa dev del ${NAME}`);
    await until('no server is left', () => runningServers().length === 0);
    nothingLeft();
    numbersOf((await content()).subarray(0, this.history.blocks * BLOCK_BYTES)).forEach((number, block) => {
      this.history.found(block, number, 'the disk below');
    });
    this.#context.diagnostic(`${this.history.writes} writes`);
  }
}

async function contentOf(path: string): Promise<Buffer> {
  await bash(`dd if=${path} of=/tmp/content bs=1M iflag=direct status=none`);
  return readFileSync('/tmp/content');
}

/** Resets the device. After the answer nothing may access the memory of the driver. */
export async function resets(context: TestContext, options: LiveOptions): Promise<void> {
  const lower = await NullDisk.create('live', { mebibytes: 8, microseconds: 1000 });
  context.after(() => lower.remove());
  const live = await LiveDisk.serve(context, lower.path, (4 * MIB) / BLOCK_BYTES, options);
  const load = await live.load();
  const untouched = Buffer.alloc(load.memory.length, 0x77);
  let longest = 0;
  for (let round = 0; round < options.rounds; round++) {
    load.begin();
    await live.moment(load);
    const before = performance.now();
    load.reset();
    longest = Math.max(longest, performance.now() - before);
    load.memory.u8.set(untouched);
    await sleep(live.random.below(5));
    assert.equal(Buffer.compare(load.memory.u8, untouched), 0, `round ${round}: memory was written after the reset`);
    load.begin();
    await load.run(10);
    await load.settle();
    await live.check();
  }
  context.diagnostic(`the longest reset took ${Math.round(longest)} ms`);
  assert.deepEqual(load.failed, []);
  load.close();
  await live.end(() => contentOf(lower.path));
}

/** Deletes the device, which its server survives, and attaches it again: from vhost-vdpa, and from virtio_vdpa. */
export async function deletions(context: TestContext, options: LiveOptions): Promise<void> {
  const lower = await NullDisk.create('live', { mebibytes: 8, microseconds: 1000 });
  context.after(() => lower.remove());
  const live = await LiveDisk.serve(context, lower.path, (4 * MIB) / BLOCK_BYTES, options);
  for (let round = 0; round < options.rounds; round++) {
    if (round > 0) await attach(NAME);
    if (round % 2 === 0) {
      const load = await live.load();
      load.begin();
      await live.moment(load);
      const deleted = detach(NAME);
      if (live.random.chance(50)) await live.moment(load);
      assert.deepEqual(load.failed, []);
      load.close();
      await deleted;
    } else {
      const disk = await diskOf(NAME);
      // The other half of the disk. It fails when the disk is gone, unless it has not begun.
      const fio = start(
        'fio',
        ...['--name=live', `--filename=${disk}`, '--rw=randrw', '--bs=4k', '--size=4m', '--offset=4m', '--direct=1'],
        ...[
          '--ioengine=libaio',
          '--iodepth=32',
          '--time_based',
          '--runtime=600',
          '--fsync=64',
          '--allow_file_create=0',
        ],
      );
      await until('requests are in flight', async () => /^ *[1-9]/.test(await inFlight(disk)));
      await sleep(live.random.below(100));
      await detach(NAME);
      assert.notEqual((await fio).status, 0);
    }
    await live.check();
  }
  await attach(NAME);
  await live.end(() => contentOf(lower.path));
}

const inFlight = (disk: string): Promise<string> =>
  bash(`awk '{ print $1 + $2 }' /sys/block/${disk.slice(5)}/inflight`);

/** Lets the file grow. */
export async function growths(context: TestContext, options: LiveOptions): Promise<void> {
  const { rounds } = options;
  const lower = await NullDisk.create('live', { mebibytes: 64 + Math.ceil(rounds / 4), microseconds: 1000 });
  context.after(() => lower.remove());
  const path = '/tmp/grows/disk';
  await bash(
    `mkfs.ext4 -q ${lower.path}; mkdir -p /tmp/grows; mount -t ext4 ${lower.path} /tmp/grows; truncate -s 1M ${path}`,
  );
  context.after(() => bash('umount /tmp/grows'));
  const blocksIn = (round: number): number => 256 + round * 64;
  const live = await LiveDisk.serve(context, path, blocksIn(rounds), options);
  const load = await live.load();
  load.begin();
  for (let round = 0; round < rounds; round++) {
    await load.run(live.random.below(200), 'all', blocksIn(round));
    const size = blocksIn(round + 1) * BLOCK_BYTES;
    truncateSync(path, size);
    await until('the driver sees it', async () => {
      await load.run(10, 'all', blocksIn(round));
      return load.capacity === size;
    });
    await live.check();
  }
  await load.run(200);
  await load.settle();
  assert.deepEqual(load.failed, []);
  load.close();
  await live.end(() => contentOf(path));
}
