import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { littleEndian } from '../../src/netlink/bytes.js';
import { goldenNames, readGolden, replay, requestsOf } from '../golden/exchange.js';
import { vdpa } from '../support/command-line.js';
import { withoutExplanation } from '../support/explanation.js';

// Exchanges of iproute2's vdpa with a kernel: given the same answers, this tool sends and prints the same, byte for byte.
const skip = !littleEndian && 'the recordings are those of a little-endian machine';

/** A deliberate difference: iproute2 reports the first queue of a device without MQ as its control queue. */
function asThisToolSays(theirs: string): string {
  return theirs.replace('queue_type control_vq rx packets', 'queue_type rx rx packets');
}

describe('recorded commands', { skip }, () => {
  for (const name of goldenNames()) {
    const golden = readGolden(name);
    it(golden.command, async () => {
      const peer = replay(golden);
      const ours = await vdpa(golden.command.split(' ').slice(1), { openTransport: () => peer });
      const { status, stdout, stderr } = withoutExplanation(ours);
      assert.equal(stdout, asThisToolSays(golden.stdout));
      assert.equal(stderr, golden.stderr);
      assert.equal(status, golden.status);
      assert.deepEqual(
        peer.requests.map(({ type, flags, payload }) => ({ type, flags, payload })),
        requestsOf(golden).map(({ type, flags, payload }) => ({ type, flags, payload })),
      );
      assert.equal(peer.closed, 1);
    });
  }
});
