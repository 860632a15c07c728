import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import {
  VIRTIO_CONFIG_S_DRIVER_OK as DRIVER_OK,
  VIRTIO_CONFIG_S_FEATURES_OK as FEATURES_OK,
  VIRTIO_CONFIG_S_NEEDS_RESET as NEEDS_RESET,
} from '../../../src/virtio/status.js';
import { QueueCounters } from '../../../src/vduse/engine/counters.js';
import { DriverSession } from '../../../src/vduse/engine/driver-session.js';
import { RING_FEATURES } from '../../../src/vduse/engine/negotiation.js';
import type { QueueInfo } from '../../../src/vduse/kernel/device.js';
import type { Answer, Request } from '../../../src/vduse/kernel/messages.js';

const QUEUES = 3;
/** ACKNOWLEDGE and DRIVER, which come first. */
const DRIVER = 3;

let counters: SharedArrayBuffer;
let infos: QueueInfo[];
let taken: bigint;
/** What has happened, in order. */
let log: string[];
let lastAnswer: Answer | undefined;

const session = (unknownPast = false): DriverSession =>
  new DriverSession({
    device: {
      respond: (id, answer) => {
        lastAnswer = answer;
        log.push(`answer ${id} ${answer.ok ? 'ok' : 'failed'}`);
      },
      driverFeatures: () => taken,
      queueInfo: (index) => infos[index] ?? assert.fail(`there is no queue ${index}`),
      notifyConfigChange: () => void log.push('config interrupt'),
    },
    identity: {
      deviceId: 2,
      vendorId: 0,
      features: RING_FEATURES,
      config: new Uint8Array(8),
      queueCount: QUEUES,
      queueSize: 256,
    },
    host: {
      run: (features, queues) => {
        const begins = queues.map(({ index, position, resume }) => `${index}@${resume ? '?' : position}`);
        log.push(`run ${features.toString(16)} ${begins.join(' ')}`.trimEnd());
      },
      runQueue: ({ index, position, resume }) => void log.push(`run queue ${index}@${resume ? '?' : position}`),
      stop: () => Promise.resolve(log.push('stop') > 0),
      stopQueue: (queue) => Promise.resolve(log.push(`stop queue ${queue}`) > 0),
      invalidate: (start, last) => Promise.resolve(log.push(`invalidate ${start}-${last}`) > 0),
    },
    counters,
    unknownPast,
    onState: (state) => void log.push(`state ${state}`),
    onBroken: (queue) => void log.push(`broken ${queue}`),
  });

beforeEach(() => {
  counters = QueueCounters.allocate(QUEUES);
  infos = Array.from({ length: QUEUES }, (_, index) => ({
    ready: index < 2,
    size: 256,
    descriptorArea: 0x1000n,
    driverArea: 0x2000n,
    deviceArea: 0x3000n,
    split: { available: index * 10 },
    packed: { available: 0x8000 | (index * 10), used: 0x8000 | (index * 10) },
  }));
  taken = RING_FEATURES;
  log = [];
  lastAnswer = undefined;
});

let id = 0;
/** Makes the session answer a request and act on it. @returns what has happened */
async function happens(driver: DriverSession, request: WithoutId<Request>): Promise<string[]> {
  const before = log.length;
  const after = await driver.answer({ ...request, id: ++id });
  if (after) log.push('after');
  await after?.();
  return log.slice(before).map((line) => line.replace(/^answer \d+/, 'answer'));
}
type WithoutId<Type> = Type extends { readonly id: number } ? Omit<Type, 'id'> : never;

const status = (value: number): WithoutId<Request> => ({ type: 'set-status', status: value });
const features = RING_FEATURES.toString(16);

async function running(unknownPast = false): Promise<DriverSession> {
  const driver = session(unknownPast);
  await happens(driver, status(DRIVER));
  await happens(driver, status(DRIVER | FEATURES_OK));
  await happens(driver, status(DRIVER | FEATURES_OK | DRIVER_OK));
  assert.equal(driver.state, 'running');
  return driver;
}

describe('the status of a driver', () => {
  test('runs the ready queues, after the kernel has the answer', async () => {
    const driver = session();
    assert.deepEqual(await happens(driver, status(DRIVER)), ['answer ok']);
    assert.equal(driver.features, 0n);
    assert.deepEqual(await happens(driver, status(DRIVER | FEATURES_OK)), ['answer ok']);
    assert.equal(driver.features, RING_FEATURES);
    assert.deepEqual(await happens(driver, status(DRIVER | FEATURES_OK | DRIVER_OK)), [
      'answer ok',
      'after',
      `run ${features} 0@0 1@10`,
      'state running',
    ]);
    assert.equal(driver.driverStatus, DRIVER | FEATURES_OK | DRIVER_OK);
  });

  test('with features that were not offered is rejected, and nothing runs', async () => {
    const driver = session();
    await happens(driver, status(DRIVER));
    taken = RING_FEATURES | (1n << 5n);
    assert.deepEqual(await happens(driver, status(DRIVER | FEATURES_OK)), ['answer failed']);
    assert.equal(driver.driverStatus, DRIVER);
    // A driver that continues anyway is checked again.
    assert.deepEqual(await happens(driver, status(DRIVER | FEATURES_OK | DRIVER_OK)), ['answer failed']);
    assert.equal(driver.state, 'idle');
  });

  test('0 stops everything before it is answered, and clears the state', async () => {
    const driver = await running();
    QueueCounters.at(counters, 1).position = 99;
    assert.deepEqual(await happens(driver, status(0)), ['stop', 'state idle', 'answer ok']);
    assert.deepEqual([driver.driverStatus, driver.features], [0, 0n]);
    assert.equal(QueueCounters.at(counters, 1).position, undefined);
    assert.deepEqual((await happens(driver, status(0))).includes('state idle'), false, 'it was idle before');
  });

  test('an invalid queue is broken, and the others run', async () => {
    infos[0] = { ...(infos[0] ?? assert.fail()), size: 3 };
    const driver = await running();
    assert.ok(log.includes('broken 0') && log.includes('config interrupt'));
    assert.ok(log.includes(`run ${features} 1@10`));
    assert.ok((driver.driverStatus & NEEDS_RESET) !== 0);
    // It stays broken until the reset, whatever the driver does.
    await happens(driver, status(DRIVER | FEATURES_OK | DRIVER_OK));
    assert.ok((driver.driverStatus & NEEDS_RESET) !== 0);
    await happens(driver, status(0));
    assert.equal(driver.driverStatus, 0);
  });
});

describe('queues while the device runs', () => {
  const ready = (queue: number, isReady: boolean): WithoutId<Request> => ({
    type: 'set-queue-ready',
    queue,
    ready: isReady,
  });

  test('one that becomes ready is served once the kernel reports it as ready', async () => {
    const driver = await running();
    const [first, second, third] = infos;
    assert.ok(first && second && third);
    let asked = 0;
    infos = new Proxy([first, second, third], {
      get: (list, key) => (key === '2' ? { ...third, ready: ++asked > 2 } : (Reflect.get(list, key) as unknown)),
    });
    assert.deepEqual(await happens(driver, ready(2, true)), ['answer ok', 'after', 'run queue 2@20']);
    assert.equal(asked, 3);
    assert.deepEqual(await happens(driver, ready(2, true)), ['answer ok'], 'it is served already');
  });

  test('one that is disabled stops before the answer, and later continues where it was', async () => {
    const driver = await running();
    assert.deepEqual(await happens(driver, ready(1, false)), ['stop queue 1', 'answer ok']);
    QueueCounters.at(counters, 1).position = 77;
    assert.deepEqual(await happens(driver, ready(1, true)), ['answer ok', 'after', 'run queue 1@77']);
  });

  test('one that was disabled under the last server continues where that one stopped', async () => {
    const driver = session(true);
    driver.resume(RING_FEATURES);
    infos[2] = { ...(infos[2] ?? assert.fail()), ready: true };
    assert.deepEqual(await happens(driver, ready(2, true)), ['answer ok', 'after', 'run queue 2@?']);
  });

  test('one that the kernel never reports as valid is broken', async () => {
    const driver = await running();
    infos[2] = { ...(infos[2] ?? assert.fail()), ready: true, size: 1000 };
    assert.deepEqual(await happens(driver, ready(2, true)), ['answer ok', 'after', 'broken 2', 'config interrupt']);
  });

  test('before the device runs there is nothing to do: starting it serves those that are ready', async () => {
    assert.deepEqual(await happens(session(), ready(0, true)), ['answer ok']);
  });
});

describe('the state of a queue', () => {
  const state = async (driver: DriverSession, queue: number): Promise<Answer | undefined> => {
    await happens(driver, { type: 'get-queue-state', queue });
    return lastAnswer;
  };

  test('is the progress of the device, or what the driver set before it runs', async () => {
    const driver = session();
    assert.deepEqual(await state(driver, 1), { ok: true, queueState: { queue: 1, packed: false, position: 10 } });
    QueueCounters.at(counters, 1).position = 0xffff;
    assert.deepEqual(await state(driver, 1), { ok: true, queueState: { queue: 1, packed: false, position: 0xffff } });
  });

  test('of a packed queue is a place in the ring with its wrap counter', async () => {
    taken = RING_FEATURES | (1n << 34n);
    const driver = session();
    const answer = { queue: 1, packed: true };
    assert.deepEqual(await state(driver, 1), { ok: true, queueState: { ...answer, position: 0x800a } });
    QueueCounters.at(counters, 1).position = 3;
    assert.deepEqual(await state(driver, 1), { ok: true, queueState: { ...answer, position: 3 } });
  });

  test('is an error if it is unknown: if the ring is missing, after another server, or without such a queue', async () => {
    const driver = session();
    QueueCounters.at(counters, 0).state = 'unmapped';
    assert.deepEqual(await state(driver, 0), { ok: false });
    assert.deepEqual(await state(session(true), 1), { ok: false });
    assert.deepEqual(await state(driver, QUEUES), { ok: false });
    assert.deepEqual(await state(driver, 0xffff_ffff), { ok: false });
  });

  test('after another server is known again once the driver resets', async () => {
    const driver = session(true);
    await happens(driver, status(0));
    assert.deepEqual(await state(driver, 1), { ok: true, queueState: { queue: 1, packed: false, position: 10 } });
  });
});

describe('other requests', () => {
  test('mappings are dropped before the answer to the kernel', async () => {
    assert.deepEqual(await happens(session(), { type: 'update-iotlb', start: 1n, last: 2n ** 64n - 1n, asid: 0 }), [
      `invalidate 1-${2n ** 64n - 1n}`,
      'answer ok',
    ]);
  });

  test('there is one group of queues and one address space', async () => {
    const driver = session();
    const group = (number: number, asid: number): WithoutId<Request> => ({
      type: 'set-group-asid',
      group: number,
      asid,
    });
    assert.deepEqual(await happens(driver, group(0, 0)), ['answer ok']);
    assert.deepEqual(await happens(driver, group(1, 0)), ['answer failed']);
    assert.deepEqual(await happens(driver, group(0, 1)), ['answer failed']);
  });

  test('a device that is suspended stops before the answer; an idle one stays idle', async () => {
    assert.deepEqual(await happens(await running(), { type: 'suspend' }), ['stop', 'state suspended', 'answer ok']);
    assert.deepEqual(await happens(session(), { type: 'suspend' }), ['stop', 'answer ok']);
  });

  test('an unknown request fails', async () => {
    assert.deepEqual(await happens(session(), { type: 'unknown', number: 99 }), ['answer failed']);
  });
});

test('a device that is taken over continues at the end of its used rings', () => {
  const driver = session(true);
  driver.resume(RING_FEATURES);
  assert.deepEqual(log, [`run ${features} 0@? 1@?`, 'state running']);
  assert.equal(driver.driverStatus, FEATURES_OK | DRIVER_OK);
});
