import '../../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { testsWith, VDUSE } from '../../support/kernel/lab/needs.js';
import { ServerProcess } from '../../support/kernel/servers/server-process.js';
import { VhostBlock } from '../../support/kernel/drivers/vhost-block.js';
import { BASE, MEMORY_BYTES } from '../../../src/vhost/driver.js';
import { attach, bash, detach, giveToVhost } from '../../support/kernel/servers/vduse.js';
import type { BlockBackendOptions } from '../../../src/vduse/spec/backend.js';

const { describe, test } = testsWith(VDUSE, '/sys/kernel/mm/hugepages');

/** The second region begins in the middle of a huge page: there is a hole before it, as in the memory of a PC. */
const HOLE = BASE + 0x180000;
const SECOND = BASE + 0x1ff000;

const PATH = '/tmp/huge.img';

async function servedBy(context: TestContext, backend: BlockBackendOptions): Promise<[VhostBlock, ServerProcess]> {
  writeFileSync('/proc/sys/vm/nr_hugepages', '8');
  const server = await ServerProcess.start({ name: 'huge', backend });
  await attach('huge');
  const driver = new VhostBlock(await giveToVhost('huge'), { hugePages: true });
  context.after(async () => {
    driver.close();
    await detach('huge');
    await server.stop();
  });
  return [driver, server];
}

function mapInPieces({ vhost, memory }: VhostBlock): void {
  vhost.unmap(BASE, MEMORY_BYTES);
  vhost.map(BASE, HOLE - BASE, memory.address);
  vhost.map(SECOND, BASE + MEMORY_BYTES - SECOND, memory.address + (SECOND - BASE));
}

describe('a driver whose memory is on huge pages', () => {
  for (const type of ['ram', 'file'] as const) {
    test(`is served from ${type}, in regions that begin and end in the middle of a page`, async (context) => {
      await bash(`truncate -s 1M ${PATH}`);
      const backend = type === 'file' ? { type, path: PATH } : ({ type, size: 2 ** 20 } as const);
      const [driver, server] = await servedBy(context, backend);
      for (let round = 0; round < 5; round++) {
        mapInPieces(driver);
        driver.start();
        driver.checkService(round);
        // The second region is unmapped, and with it a part of a huge page of the first; then it is mapped again.
        const length = BASE + MEMORY_BYTES - SECOND;
        driver.vhost.unmap(SECOND, length);
        driver.vhost.map(SECOND, length, driver.memory.address + (SECOND - BASE));
        driver.checkService(round + 1);
        driver.vhost.unmap(BASE, MEMORY_BYTES);
      }
      mapInPieces(driver);
      driver.start();
      driver.checkService(7);
      assert.equal(server.ended, undefined);
    });
  }
});
