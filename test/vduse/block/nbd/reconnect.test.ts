import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, test } from 'node:test';
import { CMD_READ, CMD_WRITE } from '../../../../src/nbd/protocol.js';
import { Errno } from '../../../../src/sys/errno.js';
import { CANCELLED, FLUSH, READ, WRITE, type Operation } from '../../../../src/vduse/block/backend.js';
import { NbdDisk, type Action } from '../../../support/nbd-disk.js';
import { MemoryServer } from '../../../support/nbd-memory-server.js';
import type { FakeRequest } from '../../../support/nbd-server.js';

const SIZE = 4 * 2 ** 20;
const BLOCK = 4096;
const BLOCKS = SIZE / BLOCK;
const DEPTH = 32;
const KILLS = 10;

const read: Action = { type: READ, position: 0, length: 512, from: 0 };

describe('an NBD server that goes away', () => {
  const cleanups: (() => unknown)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  async function open(options: Parameters<typeof NbdDisk.open>[1], wait?: (request: FakeRequest) => Promise<unknown>) {
    const server = new MemoryServer({ size: SIZE }, wait);
    server.start();
    cleanups.push(() => {
      server.kill();
    });
    const disk = await NbdDisk.open(server.uri, options);
    cleanups.push(() => disk.close());
    return { server, disk };
  }

  /** Writes and reads blocks at random, many at a time, until it is told to stop. Each write has its own content. */
  class VerifiedLoad {
    readonly #disk: NbdDisk;
    /** The content of each block: the number that fills it. */
    readonly #content = new Uint32Array(BLOCKS);
    readonly #busy = new Map<number, Operation>();
    #writes = 0;
    done = 0;

    constructor(disk: NbdDisk) {
      this.#disk = disk;
    }

    async run(isOver: () => boolean): Promise<void> {
      const words = this.#disk.memory.u32;
      while (!isOver() || this.#busy.size > 0) {
        for (let slot = 0; slot < DEPTH && !isOver(); slot++) {
          if (this.#busy.has(slot)) continue;
          const block = slot * (BLOCKS / DEPTH) + Math.floor((Math.random() * BLOCKS) / DEPTH);
          const isWrite = Math.random() < 0.5;
          if (isWrite) this.#content[block] = ++this.#writes;
          words.fill(isWrite ? this.#writes : 0xffff_ffff, (slot * BLOCK) / 4, ((slot + 1) * BLOCK) / 4);
          const action: Action = {
            type: isWrite ? WRITE : READ,
            position: block * BLOCK,
            length: BLOCK,
            from: slot * BLOCK,
          };
          for (const operation of this.#disk.begin(action)) this.#busy.set(slot, operation);
        }
        const finished = await this.#disk.finishAny([...this.#busy.values()]);
        for (const [slot, operation] of this.#busy) {
          if (!finished.has(operation)) continue;
          this.#busy.delete(slot);
          this.done++;
          assert.equal(operation.error, 0);
          const expected = this.#content[operation.position / BLOCK];
          const found = words.subarray((slot * BLOCK) / 4, ((slot + 1) * BLOCK) / 4);
          assert.ok(
            found.every((word) => word === expected),
            `block ${operation.position / BLOCK} of ${expected}`,
          );
        }
      }
    }

    /** Compares all with what the server has. */
    verify(content: Buffer): void {
      for (let block = 0; block < BLOCKS; block++) {
        for (let at = 0; at < BLOCK; at += 4)
          assert.equal(content.readUInt32LE(block * BLOCK + at), this.#content[block]);
      }
    }
  }

  async function killAgainAndAgain(server: MemoryServer, load: VerifiedLoad): Promise<void> {
    for (let kill = 0; kill < KILLS; kill++) {
      // Something is answered each time, and something is in flight.
      const before = load.done;
      while (load.done < before + DEPTH) await sleep(1);
      await sleep(Math.random() * 10);
      server.kill();
      await sleep(Math.random() * 10);
      server.start();
    }
  }

  test(`killed ${KILLS} times under verified I/O: no error, and no block is wrong`, async () => {
    // Answers come in any order.
    const { server, disk } = await open({ reconnect: 60 }, () => sleep(Math.random() * 3));
    const load = new VerifiedLoad(disk);
    let isOver = false;
    const kills = killAgainAndAgain(server, load).finally(() => (isOver = true));
    await load.run(() => isOver);
    await kills;
    assert.ok(load.done > KILLS * DEPTH);
    load.verify(server.content);
  });

  test('requests wait for it; without an end after "reconnect" seconds they fail, and work when it is back', async () => {
    const { server, disk } = await open({ reconnect: 0.4 });
    server.kill();
    await disk.reaches('reconnecting');
    const waiting = disk.begin({ type: WRITE, position: 0, length: 512, from: 0 });
    const begun = performance.now();
    assert.deepEqual(await disk.finish(waiting), [Errno.EIO]);
    assert.ok(performance.now() - begun > 200);
    await disk.reaches('failed');
    assert.match(disk.connections.status.reason ?? '', /^connect to .*: (Connection refused|No such file)|has ended/);
    assert.deepEqual(await disk.do(read), [Errno.EIO]);
    server.start();
    await disk.reaches('connected');
    assert.deepEqual(await disk.do(read, { type: FLUSH }), [0, 0]);
  });

  test('with "reconnect 0" requests fail at once', async () => {
    const { server, disk } = await open({ reconnect: 0 });
    server.kill();
    await disk.reaches('failed');
    assert.deepEqual(await disk.do(read), [Errno.EIO]);
  });

  test('back with another size: an error, not another disk', async () => {
    const { server, disk } = await open({ reconnect: 0.3 });
    server.kill();
    server.start({ size: 2 * SIZE });
    await disk.reaches('failed');
    assert.equal(disk.connections.status.reason, `The export has changed: size ${SIZE}, now ${2 * SIZE}`);
    assert.deepEqual(await disk.do(read), [Errno.EIO]);
    server.kill();
    server.start({ size: SIZE });
    await disk.reaches('connected');
    assert.deepEqual(await disk.do(read), [0]);
  });

  test('silent: it is taken for dead, and connected to again', async () => {
    let isSilent = true;
    const silence = (): Promise<unknown> => (isSilent ? new Promise(() => undefined) : Promise.resolve());
    const { server, disk } = await open({ reconnect: 60, silenceMs: 200 }, silence);
    const waiting = disk.begin(read);
    await disk.reaches('reconnecting');
    isSilent = false;
    assert.deepEqual(await disk.finish(waiting), [0]);
    assert.deepEqual(
      server.requests.map(({ command }) => command),
      [CMD_READ, CMD_READ],
    );
  });

  test('one that ends each connection at once is not tried without a pause', async () => {
    const { server, disk } = await open({ reconnect: 60 });
    let connections = 0;
    let previous = 'connected';
    disk.connections.follow(({ state }) => {
      if (state === 'connected' && previous !== state) {
        connections++;
        server.endConnections();
      }
      previous = state;
    });
    server.endConnections();
    const end = performance.now() + 600;
    while (performance.now() < end) {
      disk.step();
      await sleep(1);
    }
    // At once, and after 100, 200 and 400 ms.
    assert.ok(connections >= 2 && connections <= 4, `${connections} connections`);
  });

  test('a device that is reset does not wait for it', async () => {
    const { server, disk } = await open({ reconnect: 60 });
    server.kill();
    const waiting = disk.begin({ ...read, type: WRITE }, { ...read, from: 4096 });
    await disk.reaches('reconnecting');
    disk.backend.transfers.cancel();
    assert.deepEqual(await disk.finish(waiting, 1000), [CANCELLED, CANCELLED]);
    server.start();
    await disk.reaches('connected');
    assert.deepEqual(await disk.do(read), [0]);
  });

  test('with a slow one, a reset waits for writes that it has, and for nothing else', async () => {
    const answers = new Map<number, () => void>();
    const { disk } = await open(
      { reconnect: 60 },
      ({ command }) => new Promise<void>((resolve) => answers.set(command, resolve)),
    );
    const operations = disk.begin({ ...read, type: WRITE }, { type: READ, position: 8192, length: 65536, from: 65536 });
    const [writing = operations[0], reading = operations[1]] = operations;
    assert.ok(writing && reading);
    while (answers.size < 2) {
      disk.step();
      await sleep(1);
    }
    disk.backend.transfers.cancel();
    assert.deepEqual(await disk.finish([reading]), [CANCELLED]);
    await assert.rejects(disk.finish([writing], 50), /not done in time/);
    answers.get(CMD_WRITE)?.();
    assert.deepEqual(await disk.finish([writing]), [0]);
    // The memory of a read that was cancelled belongs to the driver again.
    disk.memory.u8.fill(0x22, 65536, 131072);
    answers.get(CMD_READ)?.();
    const next = disk.begin(read);
    answers.delete(CMD_READ);
    while (!answers.has(CMD_READ)) {
      disk.step();
      await sleep(1);
    }
    answers.get(CMD_READ)?.();
    assert.deepEqual(await disk.finish(next), [0]);
    assert.ok(disk.memory.u8.subarray(65536, 131072).every((byte) => byte === 0x22));
  });
});
