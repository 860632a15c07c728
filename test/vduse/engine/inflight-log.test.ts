import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { InflightFile, mapInflightLogs } from '../../../src/vduse/engine/inflight-file.js';
import { InflightLog } from '../../../src/vduse/engine/inflight-log.js';
import { VduseError } from '../../../src/vduse/error.js';

const SIZE = 8;

/** A ring whose used index is all that the log needs, and the log in memory that outlives its server. */
class Server {
  readonly words: Uint32Array;
  log: InflightLog;
  usedIndex: number;

  constructor(usedIndex = 0) {
    this.words = new Uint32Array(InflightLog.words(SIZE, false));
    this.log = new InflightLog(this.words, SIZE, false);
    this.usedIndex = usedIndex;
    this.log.reset(usedIndex);
  }

  /** The steps of publishing chains, one by one. */
  *publish(...heads: number[]): Generator<void> {
    for (const [position, head] of heads.entries()) {
      this.log.complete(position, head);
      yield;
    }
    this.log.beforePublish(this.usedIndex, heads.length);
    yield;
    this.usedIndex = (this.usedIndex + heads.length) & 0xffff;
    yield;
    this.log.afterPublish(this.usedIndex);
  }

  /** What the next server serves again. */
  successor(): number[] {
    this.log = new InflightLog(this.words, SIZE, false);
    return this.log.recover(this.usedIndex);
  }
}

describe('a log of chains in flight', () => {
  test('names those that were begun and not published, in the order in which they were begun', () => {
    const server = new Server();
    for (const head of [5, 2, 7, 0]) server.log.begin(head);
    Array.from(server.publish(2));
    assert.deepEqual(
      [5, 2].map((head) => server.log.isInFlight(head)),
      [true, false],
    );
    assert.deepEqual(server.successor(), [5, 7, 0]);
    server.log.begin(2);
    assert.deepEqual(server.successor(), [5, 7, 0, 2]);
  });

  for (const usedIndex of [0, 0xffff]) {
    test(`is right whatever step of publishing was the last, from used index ${usedIndex} on`, () => {
      for (let last = 0; last <= 5; last++) {
        const server = new Server(usedIndex);
        for (const head of [3, 1, 6]) server.log.begin(head);
        const steps = server.publish(6, 3);
        for (let step = 0; step < last; step++) steps.next();
        const isPublished = server.usedIndex !== usedIndex;
        assert.equal(isPublished, last >= 4);
        assert.deepEqual(server.successor(), isPublished ? [1] : [3, 1, 6], `after step ${last}`);
        assert.deepEqual(server.successor(), isPublished ? [1] : [3, 1, 6], 'repairing it again changes nothing');
        Array.from(server.publish(1));
        assert.deepEqual(server.successor(), isPublished ? [] : [3, 6]);
      }
    });
  }

  test('of another driver says nothing', () => {
    const server = new Server();
    server.log.begin(4);
    server.usedIndex = 9;
    assert.deepEqual(server.successor(), []);
    server.log.begin(4);
    server.log.reset(0);
    assert.equal(server.log.isInFlight(4), false);
  });

  test('knows the order after 2^32 chains', () => {
    const server = new Server();
    server.words[4 + SIZE + 1] = 0xffff_fffe;
    assert.deepEqual(server.successor(), [1]);
    for (const head of [6, 0, 5]) server.log.begin(head);
    assert.ok(server.log.isInFlight(0), 'no mark is 0');
    assert.deepEqual(server.successor(), [1, 6, 0, 5]);
  });

  test('with wrong contents names no chain that cannot be', () => {
    const server = new Server();
    server.words.fill(0xffff_ffff);
    assert.ok(server.successor().every((head) => head < SIZE));
  });

  test('tells where the device continues, unless chains are in flight or were about to be published', () => {
    const server = new Server(7);
    assert.equal(server.log.position, 7);
    server.log.begin(1);
    assert.equal(server.log.position, undefined);
    const steps = server.publish(1);
    for (let step = 0; step < 3; step++) steps.next();
    assert.equal(server.log.position, undefined);
    steps.next();
    assert.equal(server.log.position, 8);
  });
});

describe('the log of a packed queue', () => {
  test('has what the queue remembers, and the batch that begins at its used index', () => {
    const words = InflightLog.blank(SIZE, true);
    const log = new InflightLog(words, SIZE, true);
    assert.deepEqual([log.usedIndex, log.batch], [undefined, 0]);
    log.reset(0x8000);
    const { chains } = log;
    assert.ok(chains);
    chains.setChain(3, 1, 2);
    log.begin(3);
    chains.complete(0, 3, 77);
    log.beforePublish(0x8000, 1);
    const next = new InflightLog(words, SIZE, true);
    assert.deepEqual([next.usedIndex, next.batch], [0x8000, 1]);
    assert.deepEqual([next.chains?.completed(0), next.chains?.written(3), next.chains?.count(3)], [3, 77, 2]);
    next.afterPublish(0x8002);
    assert.deepEqual([next.usedIndex, next.batch, next.hasInFlight], [0x8002, 0, false]);
  });

  test('names no batch that was published before, whatever step was the last', () => {
    const words = InflightLog.blank(SIZE, true);
    const log = new InflightLog(words, SIZE, true);
    log.reset(0x8005);
    log.beforePublish(0x8005, 2);
    log.afterPublish(0x8007);
    words[2] = 2; // The number of chains becomes 0 last.
    assert.equal(log.batch, 0);
  });

  test('of a queue that the driver has reset has no used index, and those of split queues have no chains', () => {
    const log = InflightLog.inMemory(SIZE, true);
    log.reset(5);
    log.clear();
    assert.deepEqual([log.usedIndex, log.position], [undefined, undefined]);
    assert.equal(InflightLog.inMemory(SIZE).chains, undefined);
  });
});

describe('a file with the logs of a device', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vdpa-inflight-'));
  after(() => {
    rmSync(folder, { recursive: true });
  });

  function open(name: string, resume: boolean, queues = 2, size = SIZE, packed = false): InflightLog[] {
    const file = new InflightFile(join(folder, name));
    try {
      const shape = { queueCount: queues, queueSize: size, packed };
      return mapInflightLogs(file.open(shape, resume), shape);
    } finally {
      file.close();
    }
  }

  test('keeps them from one server to the next, a log for each queue', () => {
    const [first, second] = open('kept', false);
    first?.reset(3);
    second?.reset(4);
    first?.begin(1);
    second?.begin(2);
    assert.equal(statSync(join(folder, 'kept')).mode & 0o777, 0o600);
    const again = open('kept', true);
    assert.deepEqual(
      again.map((log, index) => log.recover(3 + index)),
      [[1], [2]],
    );
    const forgotten = open('kept', false);
    assert.deepEqual(
      forgotten.map((log) => log.recover(0)),
      [[], []],
    );
  });

  test('is new where a server of an older version has left none', () => {
    const logs = open('none', true);
    assert.deepEqual(
      logs.map((log) => log.position),
      [undefined, undefined],
    );
    assert.deepEqual(
      logs.map((log) => log.recover(5)),
      [[], []],
    );
    assert.equal(logs[0]?.position, 5);
  });

  test('of another version, for other queues or too short is an error, never read as if nothing were in flight', () => {
    open('other', false);
    assert.throws(() => open('other', true, 1), VduseError);
    assert.throws(() => open('other', true, 2, SIZE * 2), VduseError);
    truncateSync(join(folder, 'other'), 100);
    assert.throws(() => open('other', true), VduseError);
    open('other', false);
    writeFileSync(join(folder, 'other'), Uint8Array.of(0), { flag: 'r+' });
    assert.throws(() => open('other', true), VduseError);
  });

  test('for packed queues is of a version of its own', () => {
    const [first, second] = open('packed', false, 2, SIZE, true);
    assert.ok(first?.chains && second?.chains);
    first.reset(0x8003);
    second.chains.setChain(7, 6, 5);
    const again = open('packed', true, 2, SIZE, true);
    assert.deepEqual([again[0]?.usedIndex, again[1]?.chains?.count(7)], [0x8003, 5]);
    assert.equal(again[0]?.chains?.first(7), 0, 'each queue has its own');
    assert.throws(() => open('packed', true), VduseError);
    open('split', false);
    assert.throws(() => open('split', true, 2, SIZE, true), VduseError);
  });

  test('for packed queues must be there when a driver uses them: nothing else tells how far they are', () => {
    assert.throws(() => open('missing', true, 2, SIZE, true), VduseError);
  });

  test('is not made through a symbolic link', () => {
    writeFileSync(join(folder, 'target'), 'precious');
    symlinkSync(join(folder, 'target'), join(folder, 'link'));
    assert.throws(() => open('link', false), { code: 'ELOOP' });
  });
});
