import assert from 'node:assert/strict';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { test } from 'node:test';
import { QueueCounters } from '../../../src/vduse/engine/counters.js';
import { DataPlaneHost } from '../../../src/vduse/engine/host.js';
import { VduseDevice } from '../../../src/vduse/kernel/device.js';

test('a data thread that ends by itself is an error', async () => {
  const host = await DataPlaneHost.start({
    device: new VduseDevice(openSync('/dev/null', 'r+'), 1n),
    counters: QueueCounters.allocate(1),
    module: { module: new URL('../../support/ending-plane.js', import.meta.url).href, options: undefined },
    queueCount: 1,
    queueSize: 8,
    threads: 1,
    queueGroup: 1,
  });
  const failed = once(host, 'error', { signal: AbortSignal.timeout(30_000) });
  host.change({});
  const [error] = (await failed) as [Error];
  assert.equal(error.message, 'A data thread exited with code 3');
  await host.exit();
  assert.equal(host.stuck, false);
});
