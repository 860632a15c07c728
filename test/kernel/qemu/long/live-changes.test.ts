import { testsWith, VDUSE } from '../../../support/kernel/lab/needs.js';
import { deletions, growths, resets } from '../../../support/kernel/servers/live-changes.js';

const { test } = testsWith(VDUSE, 'fio', 'mkfs.ext4');

const seed = Date.now() % 2 ** 31;
const options = { mode: 'none io_uring', rounds: 200, seed };

for (const mode of ['none io_uring', 'none native', 'none threads', 'writeback io_uring']) {
  test(`200 resets with cache ${mode}: no block is wrong, and no memory written afterwards`, (context) =>
    resets(context, { mode, rounds: 200, seed }));
}

test('200 deletions with requests in flight: none hangs, and no block is wrong', (context) =>
  deletions(context, options));

test('a file that grows 200 times with requests in flight: no request fails, and no block is wrong', (context) =>
  growths(context, options));
