import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { fio, type FioJob } from '../support/kernel/drivers/fio.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { bash, blockDevice } from '../support/kernel/servers/vduse.js';

const { describe, test } = testsWith(VDUSE);

/** Random reads and writes of 4 KiB to 1 MiB; everything that is written is read back and checked. */
const verify = (disk: string, depth: number, jobs: number): Promise<readonly FioJob[]> =>
  fio(
    jobs,
    ...['--name=verify', `--filename=${disk}`, '--rw=randrw', '--bsrange=4k-1m', '--bs_unaligned=0', '--blockalign=4k'],
    ...['--verify=crc32c', '--verify_fatal=1', '--verify_backlog=64', '--do_verify=1', '--serialize_overlap=1'],
    ...['--ioengine=libaio', '--direct=1', `--iodepth=${depth}`, '--offset_increment=16m'],
    ...['--size=16m', '--loops=3', '--randrepeat=0'],
  );

describe('fio --verify=crc32c on a VDUSE block device', () => {
  for (const queues of [1, 4]) {
    for (const depth of [1, 2, 8, 64]) {
      for (const backend of ['ram', 'file'] as const) {
        test(`${backend}, ${queues} queues, depth ${depth}: no error`, async (context) => {
          const path = '/tmp/fio.img';
          await bash(`truncate -s 64M ${path}`);
          const storage =
            backend === 'ram' ? ({ type: backend, size: 2 ** 26 } as const) : ({ type: backend, path } as const);
          const { disk, server } = await blockDevice(context, {
            name: 'fio0',
            backend: storage,
            queues,
            threads: queues,
          });
          const jobs = await verify(disk, depth, 4);
          for (const { read, write } of jobs) assert.ok(read.total_ios > 0 && write.total_ios > 0);
          for (const queue of server.status().queues) assert.equal(queue.errors, 0);
        });
      }
    }
  }
});
