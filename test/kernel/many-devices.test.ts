import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { needsReference, ours, reference, startFrom } from '../support/kernel/lab/compare.js';

const names = Array.from({ length: 200 }, (_none, at) => `device-with-a-name-${at}`);

describe('200 devices, more than fit into one datagram', needsReference, () => {
  before(async () => {
    await startFrom(names.map((name) => `dev add mgmtdev vdpasim_net name ${name}`));
  });

  for (const argv of [
    ['dev', 'show'],
    ['-j', 'dev', 'show'],
    ['-jp', 'dev', 'show'],
  ]) {
    test(`${argv.join(' ')} lists them all, as iproute2 does`, async () => {
      const actual = await ours(argv);
      assert.deepEqual(actual, reference(argv));
      assert.equal(actual.status, 0);
      assert.ok(actual.stdout.length > 10_000);
    });
  }

  test('each is listed once, in the order in which they were added', async () => {
    const { stdout } = await ours(['-j', 'dev', 'show']);
    assert.deepEqual(Object.keys((JSON.parse(stdout) as { dev: object }).dev), names);
  });
});
