/** Servers that are killed at random moments, against a driver that knows which of its requests were answered. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openEventfd, signalEventfd } from '../../../src/sys/events.js';
import { ftruncate, memfdCreate } from '../../../src/sys/file.js';
import { checked, close } from '../../../src/sys/libc.js';
import { MAP_SHARED, mapFile, PROT_READ, PROT_WRITE, unmap, viewMemory } from '../../../src/sys/memory.js';
import { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT } from '../../../src/virtio/block.js';
import { InflightFile } from '../../../src/vduse/engine/inflight-file.js';
import type { AioMode } from '../../../src/vduse/spec/fields.js';
import type { EngineProcessOptions } from '../../support/engine-process.js';
import { Random } from '../../support/random.js';
import { createDriver } from '../../../src/virtio/driver/create-driver.js';
import { FORMS } from '../../support/queue-and-driver.js';
import type { RingDriver } from '../../../src/virtio/driver/ring-driver.js';
import { asyncModes, whyNotDirect, whySkipped } from '../block/backends/carriers.js';

const base = 0x10_0000;
const queueSize = 128;
const blockBytes = 4096;
const blocks = 512;
/** Requests in flight; each has three descriptors. */
const depth = 40;
const descriptors = 3;
const headersAt = 0x8000;
const dataAt = 0x10000;
const memoryBytes = dataAt + depth * blockBytes;

interface InFlight {
  readonly type: number;
  readonly block: number;
  readonly content: number;
}

/** A driver of reads and writes of whole blocks, of which no two in flight have the same block. */
class Driver {
  readonly kick = openEventfd();
  readonly call = openEventfd();
  readonly memory = checked('create a memory file', memfdCreate('driver', 1));
  readonly ring: RingDriver;
  readonly #address: number;
  readonly #view: DataView;
  readonly #words: Uint32Array;
  readonly #random: Random;
  readonly #inFlight = new Map<number, InFlight>();
  readonly #busy = new Set<number>();
  /** What each block must have. */
  readonly #contents = new Uint32Array(blocks);
  #next = 1;
  answered = 0;

  constructor(random: Random, packed: boolean) {
    this.#random = random;
    checked('set its size', ftruncate(this.memory, memoryBytes));
    this.#address = mapFile('map it', this.memory, memoryBytes, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
    const buffer = viewMemory(this.#address, memoryBytes);
    this.#view = new DataView(buffer);
    this.#words = new Uint32Array(buffer);
    this.ring = createDriver(packed, { buffer, base, iova: base, size: queueSize, start: 0 });
  }

  get pending(): number {
    return this.#inFlight.size;
  }

  /** Fills the queue. @param type the type of all requests; both by default */
  fill(type?: number): void {
    for (let slot = 0; slot < depth; slot++) {
      if (this.#inFlight.has(slot)) continue;
      const block = this.#random.below(blocks);
      if (this.#busy.has(block)) continue;
      this.#offer(slot, type ?? (this.#random.below(3) === 0 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT), block);
    }
    signalEventfd(this.kick);
  }

  #offer(slot: number, type: number, block: number): void {
    const header = headersAt + slot * 32;
    const data = dataAt + slot * blockBytes;
    const content = type === VIRTIO_BLK_T_OUT ? this.#next++ : 0xffff_ffff;
    this.#words.fill(content, data / 4, (data + blockBytes) / 4);
    this.#view.setUint32(header, type, true);
    this.#view.setBigUint64(header + 8, BigInt(block * (blockBytes / 512)), true);
    this.#view.setUint8(header + 16, 0xff);
    const head = slot * descriptors;
    this.ring.chainAt(head, [
      { iova: base + header, length: 16 },
      { iova: base + data, length: blockBytes, writable: type === VIRTIO_BLK_T_IN },
      { iova: base + header + 16, length: 1, writable: true },
    ]);
    this.#inFlight.set(slot, { type, block, content });
    this.#busy.add(block);
    this.ring.offer(head);
  }

  /** Takes answers, and checks each. */
  collect(): void {
    for (let used = this.ring.collect(); used; used = this.ring.collect()) {
      const slot = used.head / descriptors;
      const request = this.#inFlight.get(slot);
      assert.ok(request, `chain ${used.head} was answered, which is not in flight: answered twice?`);
      assert.equal(this.#view.getUint8(headersAt + slot * 32 + 16), 0, 'the status of a request');
      const { type, block, content } = request;
      if (type === VIRTIO_BLK_T_OUT) {
        this.#contents[block] = content;
      } else {
        const data = (dataAt + slot * blockBytes) / 4;
        const expected = new Uint32Array(blockBytes / 4).fill(this.#contents[block] ?? 0);
        assert.deepEqual(this.#words.slice(data, data + blockBytes / 4), expected, `block ${block}`);
      }
      this.#inFlight.delete(slot);
      this.#busy.delete(block);
      this.answered++;
    }
  }

  close(): void {
    for (const fd of [this.kick, this.call, this.memory]) close(fd);
    unmap('unmap it', this.#address, memoryBytes);
  }
}

async function startServer(
  driver: Driver,
  options: Omit<EngineProcessOptions, 'base' | 'length' | 'layout'>,
  log: number,
): Promise<ChildProcess> {
  const { packed, descriptorArea, driverArea, deviceArea } = driver.ring;
  const layout = {
    ...{ packed, size: queueSize, descriptorArea, driverArea, deviceArea },
    ...{ eventIndex: false, indirect: false, maxChain: queueSize },
  };
  const all: EngineProcessOptions = { ...options, base, length: memoryBytes, layout };
  const server = spawn(
    process.execPath,
    [new URL('../../support/engine-process.js', import.meta.url).pathname, JSON.stringify(all)],
    {
      // A process that is killed cannot write what it has covered, and to count it would only slow it down.
      env: { ...process.env, NODE_V8_COVERAGE: '' },
      stdio: ['ignore', 'pipe', 'inherit', driver.kick, driver.call, driver.memory, log],
    },
  );
  if (server.stdout) await once(server.stdout, 'data');
  return server;
}

const lives = Number(process.env['VDPA_ENGINE_KILLS'] ?? 6);
const seed = Number(process.env['VDPA_SEED'] ?? Date.now() % 2 ** 31);

/** Kills servers of one device. @param ordered no log outlives them */
async function kill(aio: AioMode, packed: boolean, ordered = false): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'vdpa-engine-kill-'));
  const path = join(folder, 'disk');
  writeFileSync(path, '');
  truncateSync(path, blocks * blockBytes);
  const inflight = new InflightFile(join(folder, 'inflight'));
  const random = new Random(seed);
  const driver = new Driver(random, packed);
  let server: ChildProcess | undefined;
  try {
    const log = inflight.open({ queueCount: 1, queueSize, packed }, false);
    for (let life = 0; life < lives; life++) {
      server = await startServer(driver, { path, aio, ordered, resume: life > 0 }, log);
      const before = driver.answered;
      const end = performance.now() + random.below(30);
      // A server that has not got far tests nothing: its successor would begin where it began.
      const least = random.below(200);
      while (performance.now() < end || driver.answered - before < least) {
        assert.ok(performance.now() < end + 30_000, `${driver.pending} requests are not answered: they were lost`);
        driver.fill();
        driver.collect();
        await sleep(0);
      }
      driver.fill();
      // Until it has taken some, and has not done all.
      const moment = performance.now() + random.below(2000) / 1000;
      while (performance.now() < moment);
      server.kill('SIGKILL');
      await once(server, 'exit');
      driver.collect();
    }
    server = await startServer(driver, { path, aio, ordered, resume: true }, log);
    const all = async (): Promise<void> => {
      const end = performance.now() + 60_000;
      while (driver.pending > 0) {
        assert.ok(performance.now() < end, `${driver.pending} requests were lost`);
        driver.collect();
        await sleep(1);
      }
    };
    await all();
    for (let round = 0; round < 50; round++) {
      driver.fill(VIRTIO_BLK_T_IN);
      await all();
    }
  } finally {
    server?.kill('SIGKILL');
    inflight.close();
    driver.close();
    rmSync(folder, { recursive: true });
  }
}

describe(`a server that is killed ${lives} times (VDPA_SEED=${seed})`, { concurrency: true }, () => {
  for (const { name, packed } of FORMS) {
    for (const aio of asyncModes) {
      const skip = whySkipped(aio) || (aio === 'native' && whyNotDirect());
      test(
        `with requests in flight by ${aio} in a ${name} queue: each is answered once, and every block is right`,
        {
          skip,
        },
        () => kill(aio, packed),
      );
    }
    test(`with requests one after another in a ${name} queue: the same`, () => kill('sync', packed));
  }
  test('with requests in flight, but no log that outlives it: the same', { skip: whySkipped('io_uring') }, () =>
    kill('io_uring', false, true),
  );
});
