import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { needsReference, startBoth, startFrom } from '../support/kernel/compare.js';
import { asNobody } from '../support/kernel/unprivileged.js';

const ADD = 'dev add mgmtdev vdpasim_net name foo0';

describe('without the right to manage devices', needsReference, () => {
  for (const line of [ADD, 'dev del foo0', 'dev show', 'mgmtdev show', '-j dev show foo0']) {
    test(`${line}: the kernel's own refusal, as iproute2 tells it`, async () => {
      await startFrom(line === ADD ? [] : [ADD]);
      const { expected, actual } = startBoth(line.split(' '), asNobody);
      assert.deepEqual(actual, expected);
    });
  }

  test('changes are refused in words', () => {
    const { actual } = startBoth(ADD.split(' '), asNobody);
    assert.deepEqual(actual, { status: 1, stdout: '', stderr: 'kernel answers: Operation not permitted\n' });
  });
});

describe('without the vdpa family', needsReference, () => {
  // The family is of the first network namespace alone, so a new one is like a kernel without vDPA.
  for (const line of ['mgmtdev show', '-j dev show', 'dev del foo0']) {
    test(`${line}: iproute2's words, and what to do`, () => {
      const { expected, actual } = startBoth(line.split(' '), ['unshare', '--net']);
      assert.equal(expected.stderr, 'Failed to connect to vdpa Netlink\n');
      assert.equal(actual.status, expected.status);
      // Where JSON is asked for, ours prints some on failure too.
      assert.equal(actual.stdout, line.startsWith('-j') ? '{}\n' : expected.stdout);
      const [first, second, ...more] = actual.stderr.split('\n');
      assert.equal(`${first ?? ''}\n`, expected.stderr);
      assert.match(second ?? '', /modprobe vdpa/);
      assert.deepEqual(more, ['']);
    });
  }
});
