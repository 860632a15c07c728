import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Outcome } from '../support/command-line.js';
import { checkOutput } from '../support/output-schemas.js';
import { TestMachine } from '../support/test-machine.js';
import type { Fault } from '../../src/sim/state/fault.js';

/** Runs a line while the kernel refuses the statistics of one queue, or of every queue. */
async function refusing(line: string, fault: Partial<Fault>): Promise<Outcome> {
  const machine = new TestMachine({}, [{ command: 'dev vstats show', ...fault }]);
  await machine.vdpa('dev add mgmtdev vdpasim_net name foo0');
  return machine.vdpa(line);
}

/** As mlx5 answers for a queue that is not ready. */
const middleOne = { skip: 1, times: 1, errno: 'EAGAIN' } as const;

for (const errno of ['EAGAIN', 'EIO', 'EBUSY'] as const) {
  test(`a queue that answers ${errno} does not hide the counters of others`, async () => {
    for (const line of ['dev stats show', 'dev stats show foo0']) {
      const { status, stdout, stderr } = await refusing(line, { ...middleOne, errno });
      assert.deepEqual([status, stderr], [0, '']);
      assert.match(
        stdout,
        new RegExp(`^foo0: qidx 0 .*rx packets .*\\nfoo0: qidx 1 error ${errno} \\nfoo0: qidx 2 .*cvq`),
      );
    }
    const json = (await refusing('-j dev stats show', { ...middleOne, errno })).stdout;
    checkOutput('dev-stats-show', json);
    const { stats } = JSON.parse(json) as { stats: { foo0: Record<string, unknown>[] } };
    assert.deepEqual(stats.foo0[1], { qidx: 1, error: errno });
    assert.deepEqual(
      stats.foo0.map(({ qidx }) => qidx),
      [0, 1, 2],
    );
  });
}

test('metrics include the counters of the other queues', async () => {
  const { status, stdout } = await refusing('dev stats show -o openmetrics', middleOne);
  assert.equal(status, 0);
  assert.match(stdout, /qidx="0",queue_type="rx"/);
  assert.match(stdout, /qidx="2",queue_type="control_vq"/);
  assert.doesNotMatch(stdout, /qidx="1"/);
  assert.ok(stdout.endsWith('# EOF\n'));
});

test('a device all of whose queues are refused fails if it is named, and hides no other', async () => {
  const { status, stderr } = await refusing('dev stats show foo0', { errno: 'EIO', times: 3 });
  assert.deepEqual([status, stderr], [1, 'kernel answers: Input/output error\n']);
  const machine = new TestMachine({}, [{ command: 'dev vstats show', device: 'foo0', errno: 'EIO' }]);
  for (const name of ['foo0', 'foo1']) await machine.vdpa(`dev add mgmtdev vdpasim_net name ${name}`);
  const all = await machine.vdpa('dev stats show');
  assert.equal(all.status, 0);
  assert.match(all.stdout, /^foo1: qidx 0 /);
});
