/** A device, its hostile driver, and another device of the same process that must not be affected. */
import '../lab/inside.js';
import assert from 'node:assert/strict';
import { VIRTIO_CONFIG_S_NEEDS_RESET } from '../../../../src/virtio/status.js';
import { testsWith, VDUSE } from '../lab/needs.js';
import { ServerProcess } from '../servers/server-process.js';
import { VhostBlock } from './vhost-block.js';
import { DATA, DRIVER_OK } from '../../../../src/vhost/driver.js';
import { DriverMemory } from '../../../../src/vhost/memory.js';
import { attach, bash, detach, diskOf, giveTo, giveToVhost, until } from '../servers/vduse.js';

const { after, afterEach, before, beforeEach } = testsWith(VDUSE);

export const MIB = 1024 * 1024;
/** The size of the device. */
export const SIZE = 64 * MIB;

/** The IOVAs of a request's header, status byte and buffer. */
export const HEADER = DATA;
export const STATUS = DATA + 0x800;
export const BUFFER = DATA + 0x1000;
/** The IOVA of another mapping, which only some cases have. */
export const ELSEWHERE = 0x7000_0000;
export const NOWHERE = 0x9000_0000;

/** The form of the device's queues, chosen before the tests of a file are set up. */
export const form = { packed: false };

export let server: ServerProcess;
export let driver: VhostBlock;
let neighbourDisk: string;
let neighbourSum: string;

const borrowed: DriverMemory[] = [];

/** Undoes the setup, in reverse order. A process left running would keep this one from exiting. */
const undo: (() => unknown)[] = [];

/** More memory for the driver, for one case. It is not mapped for the device. */
export function borrow(length: number, mapped = length): DriverMemory {
  const memory = new DriverMemory(length, { mapped });
  borrowed.push(memory);
  return memory;
}

const sumOf = (disk: string): Promise<string> =>
  bash(`dd if=${disk} bs=64k count=16 iflag=direct status=none | md5sum`);

let isSetUp = false;

/** Sets the device up for the tests of a file, once if they are in several modules. */
export function setUpTarget(): void {
  if (isSetUp) return;
  isSetUp = true;
  before(async () => {
    // One process serves both devices: anything that escapes from one device would reach the other.
    server = await ServerProcess.start(
      { name: 'target', backend: { type: 'ram', size: SIZE }, queues: 2, queueSize: 64, packed: form.packed },
      { name: 'neighbour', backend: { type: 'ram', size: 16 * MIB } },
    );
    undo.unshift(() => server.stop());
    for (const name of ['target', 'neighbour']) {
      await attach(name);
      undo.unshift(() => detach(name));
    }
    driver = new VhostBlock(await giveToVhost('target'), { queues: 2, queueSize: 64 });
    undo.unshift(() => {
      driver.close();
    });
    await giveTo('neighbour', 'virtio_vdpa');
    neighbourDisk = await diskOf('neighbour');
    await bash(`dd if=/dev/urandom of=${neighbourDisk} bs=64k count=16 oflag=direct status=none`);
    neighbourSum = await sumOf(neighbourDisk);
  });

  beforeEach(() => {
    server.broken.length = 0;
    driver.start();
  });

  /** Whatever the driver did: the server is alive, the device works after a reset, and the other device is unaffected. */
  afterEach(async () => {
    assert.equal(server.ended, undefined);
    driver.vhost.unmap(ELSEWHERE, 2 ** 40);
    for (const memory of borrowed.splice(0)) memory.free();
    driver.start();
    driver.checkService(1);
    driver.checkService(2, 1);
    assert.equal(await sumOf(neighbourDisk), neighbourSum);
    const neighbour = await server.device('neighbour');
    assert.equal(neighbour.state, 'running');
    assert.deepEqual(
      neighbour.queues.map(({ state, errors }) => ({ state, errors })),
      [{ state: 'running', errors: 0 }],
    );
  });

  after(async () => {
    for (const step of undo.splice(0)) await step();
  });
}

/** Checks that the ring is broken: nothing more is completed, and the device reports that it needs a reset. */
export async function isBroken(reason: RegExp): Promise<void> {
  await until('the ring is broken', () => server.broken.length > 0);
  assert.equal(server.broken.length, 1);
  assert.match(server.broken[0] ?? '', /^target 0: /);
  assert.match(server.broken[0] ?? '', reason);
  driver.kick();
  assert.equal(driver.used(0, 30), undefined);
  const target = await server.device('target');
  assert.equal(target.queues[0]?.state, 'broken');
  assert.equal(target.driverStatus, DRIVER_OK | VIRTIO_CONFIG_S_NEEDS_RESET);
  // The other queue of the device continues.
  driver.checkService(3, 1);
}
