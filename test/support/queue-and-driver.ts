import assert from 'node:assert/strict';
import { DescriptorChain } from '../../src/virtio/descriptor-chain.js';
import { PackedChains } from '../../src/virtio/packed-chains.js';
import { PackedQueue } from '../../src/virtio/packed-queue.js';
import { SplitQueue } from '../../src/virtio/split-queue.js';
import type { QueueLayout } from '../../src/virtio/virtqueue.js';
import { PackedDriver } from '../../src/virtio/driver/packed-driver.js';
import { PlainMemory } from './plain-memory.js';
import { createDriver } from '../../src/virtio/driver/create-driver.js';
import { SplitDriver } from '../../src/virtio/driver/split-driver.js';

/** Both forms of a virtqueue, for tests that are the same for both. */
export const FORMS = [
  { name: 'split', packed: false },
  { name: 'packed', packed: true },
] as const;

/** The form of the queues in tests that do not name it: such tests run in both forms, see the files packed.test.ts. */
export const defaultForm = { packed: false };

/** The addresses of the rings and the buffers. */
export const RINGS = 0x10000;
export const DATA = 0x100000;
export const DATA_BYTES = 0x10000;

/** Deviations from the defaults. */
export interface Options {
  packed?: boolean;
  size?: number;
  eventIndex?: boolean;
  indirect?: boolean;
  maxChain?: number;
  /** Number of chains that were used before: of one descriptor each if the queue is packed. */
  start?: number;
  /** Memory with real addresses, for code that moves data by address. */
  native?: boolean;
}

/** Memory that a test driver shares with a device, and the driver. */
export function setUpDriver(options: Options = {}) {
  const { packed = defaultForm.packed, size = 8, eventIndex = false, indirect = true } = options;
  const { maxChain = size, start = 0, native = false } = options;
  const memory = new PlainMemory(native);
  const rings = memory.map(RINGS, 0x8000);
  const data = memory.map(DATA, DATA_BYTES);
  const place = { buffer: rings.u8.buffer as ArrayBuffer, base: RINGS, iova: RINGS, size, start };
  const driver = createDriver(packed, place);
  const { descriptorArea, driverArea, deviceArea } = driver;
  const layout: QueueLayout = {
    ...{ packed, size, descriptorArea, driverArea, deviceArea },
    ...{ eventIndex, indirect, maxChain },
  };
  const position = packed ? PackedDriver.place(start, size) : start;
  return { memory, rings, data, driver, layout, position, chain: new DescriptorChain(maxChain * 2) };
}

/** What a packed queue remembers, in memory of its own. */
export function createChains(size: number): PackedChains {
  return new PackedChains(new Uint32Array(PackedChains.words(size)), new Uint32Array(size), size);
}

/** A queue of any form in memory that it shares with a test driver. */
export function setUp(options: Options = {}) {
  const parts = setUpDriver(options);
  const { memory, layout, position } = parts;
  const queue = layout.packed
    ? PackedQueue.map(memory, layout, position, createChains(layout.size))
    : SplitQueue.map(memory, layout, position);
  assert.ok(queue);
  return { ...parts, queue };
}

/** A split queue, for tests of this form only. */
export function setUpSplit(options: Omit<Options, 'packed'> = {}) {
  const { driver, ...parts } = setUpDriver(options);
  assert.ok(driver instanceof SplitDriver);
  const queue = SplitQueue.map(parts.memory, parts.layout, parts.position);
  assert.ok(queue);
  return { ...parts, driver, queue };
}

/** A packed queue, for tests of this form only. */
export function setUpPacked(options: Omit<Options, 'packed'> = {}) {
  const { driver, ...parts } = setUpDriver({ ...options, packed: true });
  assert.ok(driver instanceof PackedDriver);
  const chains = createChains(parts.layout.size);
  const queue = PackedQueue.map(parts.memory, parts.layout, parts.position, chains);
  assert.ok(queue);
  return { ...parts, driver, queue, chains };
}
