import '../lab/inside.js';
import assert from 'node:assert/strict';
import { closeSync, openSync, readSync } from 'node:fs';
import type { TestContext } from 'node:test';
import type { AioMode, CacheMode } from '../../../../src/vduse/spec/fields.js';
import { BlockHistory } from '../../block-history.js';
import { Random } from '../../random.js';
import { BLOCK_BYTES, BlockLoad, numbersOf } from '../drivers/block-load.js';
import { runningServers } from '../lab/leftovers.js';
import { NullDisk } from './null-disk.js';
import { show } from './shown.js';
import { giveToVhost, sh, until } from './vduse.js';

const VDPA = '/run/bin/vdpa';
const NAME = 'power0';

interface Mode {
  readonly cache: CacheMode;
  readonly aio: AioMode;
  /** Whether the driver flushes, or needs durable writes. */
  readonly flushes: boolean;
}

const MODES: readonly Mode[] = [
  { cache: 'none', aio: 'io_uring', flushes: true },
  { cache: 'writeback', aio: 'threads', flushes: true },
  { cache: 'writethrough', aio: 'io_uring', flushes: true },
  { cache: 'none', aio: 'native', flushes: true },
  { cache: 'none', aio: 'io_uring', flushes: false },
  { cache: 'writeback', aio: 'io_uring', flushes: true },
  { cache: 'none', aio: 'threads', flushes: true },
  { cache: 'writethrough', aio: 'threads', flushes: true },
];

const BLOCKS = 512;

function readDisk(path: string): Uint32Array {
  const content = Buffer.alloc(BLOCKS * BLOCK_BYTES);
  const fd = openSync(path, 'r');
  assert.equal(readSync(fd, content), content.length);
  closeSync(fd);
  return numbersOf(content);
}

/**
 * Cuts the power of a disk with a volatile cache, again and again, while a device that is served from it has reads,
 * writes and flushes in flight. Each time, each block must have what was written before the last flush that was answered,
 * or something later.
 */
export async function failPower(context: TestContext, failures: number, seed: number): Promise<void> {
  const lower = await NullDisk.create('volatile', { mebibytes: 16, microseconds: 500, cache: 64 });
  context.after(() => lower.remove());
  const history = new BlockHistory(BLOCKS);
  const random = new Random(seed);
  let durable = 0;
  let requests = 0;
  for (let failure = 0; failure < failures; failure++) {
    const mode = MODES[failure % MODES.length];
    assert.ok(mode);
    const { cache, aio, flushes } = mode;
    const where = `power failure ${failure} with cache ${cache} aio ${aio}, seed ${seed}`;
    await sh(`${VDPA} dev add mgmtdev vduse name ${NAME} path ${lower.path} cache ${cache} aio ${aio} queues 2`);
    const shown = await show(NAME);
    assert.deepEqual([shown.cache, shown.aio], [cache, aio]);
    const load = new BlockLoad(await giveToVhost(NAME), history, random, 2);
    load.begin({ flushes });
    while (load.answered < 50) await load.run(random.below(100));
    assert.deepEqual(load.failed, [], where);
    load.fill();
    lower.turnOff();
    await load.settle();
    requests += load.answered;
    load.close();
    await sh(`${VDPA} vduse del ${NAME}`);
    await until('no server is left', () => runningServers().length === 0);
    await lower.turnOn();
    durable += history.foundAfterPowerFailure(readDisk(lower.path), where);
  }
  context.diagnostic(
    `seed ${seed}: ${failures} failures, ${requests} requests, ${history.writes} writes, ${durable} blocks checked`,
  );
  assert.ok(durable > failures);
}
