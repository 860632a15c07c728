import assert from 'node:assert/strict';
import { DescriptorChain } from '../../src/virtio/descriptor-chain.js';
import { SplitQueue } from '../../src/virtio/split-queue.js';
import { PlainMemory } from './plain-memory.js';
import { RingDriver } from './ring-driver.js';

/** The addresses of the rings and the buffers. */
export const RINGS = 0x10000;
export const DATA = 0x100000;
export const DATA_BYTES = 0x10000;

/** Deviations from the defaults. */
export interface Options {
  size?: number;
  eventIndex?: boolean;
  indirect?: boolean;
  maxChain?: number;
  start?: number;
  /** Memory with real addresses, for code that moves data by address. */
  native?: boolean;
}

/** A queue in memory that it shares with a test driver. */
export function setUp(options: Options = {}) {
  const { size = 8, eventIndex = false, indirect = true, maxChain = size, start = 0, native = false } = options;
  const memory = new PlainMemory(native);
  const rings = memory.map(RINGS, 0x8000);
  const data = memory.map(DATA, DATA_BYTES);
  const driver = new RingDriver(rings.u8.buffer as ArrayBuffer, RINGS, RINGS, size);
  driver.setAvailableIndex(start);
  driver.usedIndex = start;
  driver.seenUsed = start;
  const { descriptorTable, availableRing, usedRing } = driver;
  const layout = { size, descriptorTable, availableRing, usedRing, eventIndex, indirect, maxChain };
  const queue = SplitQueue.map(memory, layout, start);
  assert.ok(queue);
  return { memory, rings, data, driver, queue, layout, chain: new DescriptorChain(maxChain * 2) };
}
