import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { lines } from '../support/command-line.js';
import { needsReference, startBoth, startFrom } from '../support/kernel/lab/compare.js';
import { withoutExplanation } from '../support/explanation.js';
import { asNobody } from '../support/kernel/lab/unprivileged.js';

const ADD = 'dev add mgmtdev vdpasim_net name foo0';

describe('without the right to manage devices', needsReference, () => {
  for (const line of [ADD, 'dev del foo0', 'dev show', 'mgmtdev show', '-j dev show foo0']) {
    test(`${line}: the kernel's own error, as iproute2 prints it`, async () => {
      await startFrom(line === ADD ? [] : [ADD]);
      const { expected, actual } = startBoth(line.split(' '), asNobody);
      assert.deepEqual(withoutExplanation(actual), expected);
    });
  }

  test('commands that need root say so', () => {
    const { actual } = startBoth(ADD.split(' '), asNobody);
    const stderr = lines(
      'kernel answers: Operation not permitted',
      'Run as root: this requires CAP_NET_ADMIN in the initial user namespace',
    );
    assert.deepEqual(actual, { status: 1, stdout: '', stderr });
  });

  for (const line of ['dev unbind foo0', 'dev bind foo0 driver virtio']) {
    test(`${line}: says that it needs root`, async () => {
      await startFrom([ADD]);
      const { actual } = startBoth(line.split(' '), asNobody);
      assert.equal(actual.status, 1);
      assert.match(actual.stderr, /^vdpa: .*Permission denied.*Run as root/s);
    });
  }
});

describe('without the vdpa family', needsReference, () => {
  // The family exists only in the initial network namespace, so a new one is like a kernel without vDPA.
  for (const line of ['mgmtdev show', '-j dev show', 'dev del foo0']) {
    test(`${line}: iproute2's message, and what to do`, () => {
      const { expected, actual } = startBoth(line.split(' '), ['unshare', '--net']);
      assert.equal(expected.stderr, 'Failed to connect to vdpa Netlink\n');
      assert.equal(actual.status, expected.status);
      // With -j, ours prints JSON on failure too.
      assert.equal(actual.stdout, line.startsWith('-j') ? '{}\n' : expected.stdout);
      const [first, second, ...more] = actual.stderr.split('\n');
      assert.equal(`${first ?? ''}\n`, expected.stderr);
      assert.match(second ?? '', /modprobe vdpa/);
      assert.deepEqual(more, ['']);
    });
  }
});
