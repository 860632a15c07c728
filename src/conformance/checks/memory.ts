import { VHOST_ACCESS_RO, VHOST_BACKEND_F_IOTLB_ASID, VHOST_BACKEND_F_IOTLB_BATCH } from '../../vhost/uapi.js';
import { BASE, DRIVER_OK, MEMORY_BYTES } from '../../vhost/driver.js';
import { DriverMemory } from '../../vhost/memory.js';
import type { VhostVdpa } from '../../vhost/device.js';
import type { Check } from '../check.js';
import { expectThat } from '../finding.js';
import type { CheckContext } from '../context.js';

/** Away from the driver's memory. */
const ELSEWHERE = 0x4000_0000;
const PAGE = 4096;

/** Maps the driver's memory again, whatever a check has left. */
function remap({ vhost, driver }: CheckContext): void {
  vhost.unmap(BASE, MEMORY_BYTES);
  vhost.map(BASE, MEMORY_BYTES, driver.memory.address);
}

/** Runs a task with more memory, which is unmapped and freed afterwards. */
function withMemory(vhost: VhostVdpa, bytes: number, task: (memory: DriverMemory) => void): void {
  const memory = new DriverMemory(bytes);
  try {
    task(memory);
  } finally {
    vhost.unmap(ELSEWHERE, bytes);
    memory.free();
  }
}

/** The I/O address space. */
export const memoryChecks: readonly Check[] = [
  {
    name: 'iotlb-range',
    clause: '6.1',
    rule: 'The range of I/O addresses has room for memory.',
    run: ({ vhost }) => {
      const { first, last } = vhost.iovaRange();
      const came = `${first} to ${last}`;
      expectThat(last > first, { sent: 'read the IOVA range', came, expected: 'a range that is not empty' });
    },
  },
  {
    name: 'iotlb-changes-under-load',
    clause: '6.1',
    rule: 'Memory can be mapped and unmapped while requests are carried out elsewhere.',
    requires: { type: 'any known' },
    run: (context) => {
      const { vhost } = context;
      context.startWork();
      withMemory(vhost, 64 * PAGE, (memory) => {
        for (let round = 0; round < 10; round++) {
          vhost.map(ELSEWHERE, 64 * PAGE, memory.address);
          context.exchange(`requests after the mapping of other memory, round ${round}`, [0, 1, 2, 3]);
          vhost.unmap(ELSEWHERE, 64 * PAGE);
          context.exchange(`requests after other memory was unmapped, round ${round}`, [0, 1, 2, 3]);
        }
      });
    },
  },
  {
    name: 'iotlb-batch',
    clause: '6.1',
    rule: 'Changes of a batch take effect together.',
    requires: { type: 'any known', backend: [{ bit: VHOST_BACKEND_F_IOTLB_BATCH, name: 'IOTLB_BATCH' }] },
    run: (context) => {
      const { vhost } = context;
      context.startWork();
      withMemory(vhost, 64 * PAGE, (memory) => {
        vhost.batch(() => {
          for (let page = 0; page < 64; page += 2) {
            vhost.map(ELSEWHERE + page * PAGE, PAGE, memory.address + page * PAGE);
          }
        });
        context.exchange('requests after 32 mappings in a batch', [0, 1, 2, 3]);
      });
    },
  },
  {
    name: 'iotlb-replaced',
    clause: '6.1',
    rule: 'After a mapping was replaced, the device uses the new memory, whole or in pieces.',
    requires: { type: 'any known' },
    run: (context) => {
      const { vhost, driver } = context;
      context.startWork();
      try {
        for (let round = 0; round < 5; round++) {
          vhost.unmap(BASE, MEMORY_BYTES);
          for (let at = 0; at < MEMORY_BYTES; at += MEMORY_BYTES / 4) {
            vhost.map(BASE + at, MEMORY_BYTES / 4, driver.memory.address + at);
          }
          context.exchange(`requests after the memory was mapped again in 4 pieces, round ${round}`, [0, 1]);
          remap(context);
          context.exchange(`requests after the memory was mapped again whole, round ${round}`, [0, 1]);
        }
      } finally {
        remap(context);
      }
    },
  },
  {
    name: 'iotlb-read-only',
    clause: '6.1',
    rule: 'A device does not write memory that is mapped for reading.',
    requires: { type: 'block' },
    run: (context) => {
      const { vhost, driver, work } = context;
      context.startWork();
      withMemory(vhost, PAGE, (memory) => {
        memory.u8.fill(0xa5);
        vhost.map(ELSEWHERE, PAGE, memory.address, VHOST_ACCESS_RO);
        const [header, , status] = work.prepare(driver, 0);
        const buffers = [header, { iova: ELSEWHERE, length: 512, writable: true }, status];
        driver.offer(driver.ring().chain(buffers.flatMap((buffer) => buffer ?? [])));
        context.used(1000);
        const sent = 'a read to memory that is mapped for reading only';
        expectThat(
          memory.u8.every((byte) => byte === 0xa5),
          { sent, came: 'it was written', expected: 'no change' },
        );
      });
      context.expectAlive('a read to memory that is mapped for reading only');
    },
  },
  {
    name: 'iotlb-address-spaces',
    clause: '6.1',
    rule: 'A group of queues uses the address space that it was given.',
    requires: { type: 'any known', backend: [{ bit: VHOST_BACKEND_F_IOTLB_ASID, name: 'IOTLB_ASID' }] },
    run: (context) => {
      const { vhost, driver, work, target } = context;
      if (target.addressSpaces < 2) return;
      const group = vhost.groupOf(work.queue);
      try {
        vhost.map(BASE, MEMORY_BYTES, driver.memory.address, undefined, 1);
        context.prepare();
        vhost.setGroupAddressSpace(group, 1);
        vhost.unmap(BASE, MEMORY_BYTES, 0);
        vhost.status = DRIVER_OK;
        work.begin(driver);
        context.exchange('requests with memory in address space 1 only', [0, 1]);
      } finally {
        vhost.status = 0;
        vhost.setGroupAddressSpace(group, 0);
        vhost.unmap(BASE, MEMORY_BYTES, 1);
        remap(context);
      }
    },
  },
];
