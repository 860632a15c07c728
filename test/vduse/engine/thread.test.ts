import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { openEventfd, signalEventfd } from '../../../src/sys/events.js';
import { ftruncate, memfdCreate } from '../../../src/sys/file.js';
import { checked, libc } from '../../../src/sys/libc.js';
import { MAP_SHARED, mapFile, PROT_READ, PROT_WRITE, viewMemory } from '../../../src/sys/memory.js';
import { QueueCounters } from '../../../src/vduse/engine/counters.js';
import { MORE } from '../../../src/vduse/engine/data-plane.js';
import { DataThread, threadWord, type Command } from '../../../src/vduse/engine/thread.js';
import type { IotlbEntry } from '../../../src/vduse/kernel/device.js';
import { MappingTable } from '../../../src/vduse/engine/mappings.js';
import { RingDriver } from '../../support/ring-driver.js';

const BASE = 0x10000;
const BYTES = 0x10000;
const dup: (fd: number) => number = libc.func('int dup(int fd)');

/** A device whose driver has a memory file mapped at BASE. */
const deviceOf = (memory: number) => ({
  iotlbEntry(): IotlbEntry {
    const fd = checked('duplicate a descriptor', dup(memory));
    return { fd, offset: 0n, start: BigInt(BASE), last: BigInt(BASE + BYTES - 1), readable: true, writable: true };
  },
});

test('what a data plane watches is looked at while a queue is busy, after every round', async () => {
  const memory = checked('create a memory file', memfdCreate('driver', 1));
  checked('size it', ftruncate(memory, BYTES));
  const buffer = viewMemory(mapFile('map it', memory, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, 0), BYTES);
  const { descriptorTable, availableRing, usedRing } = new RingDriver(buffer, BASE, BASE, 8);
  const { port1, port2 } = new MessageChannel();
  const words = new SharedArrayBuffer(threadWord.length * 4);
  const send = (command: Command): void => {
    port1.postMessage(command);
    Atomics.add(new Int32Array(words), threadWord.commands, 1);
  };
  const packets = openEventfd();
  let rounds = 0;
  let seenIn: number | undefined;
  const thread = new DataThread({
    device: deviceOf(memory),
    interrupt: () => 'sent',
    plane: {
      start: () => undefined,
      // A queue that is never empty, as that of a guest that sends all the time.
      serve: () => {
        rounds++;
        if (rounds === 10) signalEventfd(packets);
        if (rounds === 1000 || seenIn !== undefined) send({ type: 'exit', ticket: 1 });
        return MORE;
      },
      close: () => undefined,
    },
    kick: openEventfd(),
    commands: port2,
    words,
    mappings: MappingTable.allocate().shared,
    counters: QueueCounters.allocate(1),
    watched: [{ fd: packets, readable: () => (seenIn ??= rounds) }],
    guard: undefined,
    notify: () => undefined,
  });
  const layout = { size: 8, descriptorTable, availableRing, usedRing, eventIndex: false, indirect: false, maxChain: 8 };
  send({ type: 'start', features: 0n, queues: [{ index: 0, layout, availableIndex: 0 }] });
  await thread.run();
  port1.close();
  assert.equal(seenIn, 10);
});
