/** Changes of a disk that waits, with requests in flight. */
import '../../support/kernel/lab/inside.js';
import { testsWith, VDUSE } from '../../support/kernel/lab/needs.js';
import { deletions, growths, resets } from '../../support/kernel/servers/live-changes.js';

const { test } = testsWith(VDUSE, 'fio', 'mkfs.ext4');

const ROUNDS = Number(process.env['VDPA_LIVE_ROUNDS'] ?? 10);
const SEED = Number(process.env['VDPA_SEED'] ?? Math.floor(Date.now() / 86_400_000));

for (const mode of ['none io_uring', 'none threads']) {
  test(`${ROUNDS} resets with cache ${mode}: no block is wrong, and no memory written afterwards`, async (context) => {
    await resets(context, { mode, rounds: ROUNDS, seed: SEED });
  });
}

test(`${ROUNDS} deletions: none hangs, and no block is wrong`, async (context) => {
  await deletions(context, { mode: 'none io_uring', rounds: ROUNDS, seed: SEED });
});

test(`a file that grows ${ROUNDS} times: no request fails, and no block is wrong`, async (context) => {
  await growths(context, { mode: 'none io_uring', rounds: ROUNDS, seed: SEED });
});
