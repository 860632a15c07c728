import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blockLimits } from '../../../src/vduse/block/identity.js';
import { createDataPlane } from '../../../src/vduse/block/module.js';

test('a module without a function that creates backends is an error', async () => {
  for (const source of ['', 'export const createBlockBackend = 1']) {
    const module = `data:text/javascript,${source}`;
    const limits = blockLimits({ size: 4096, readonly: false }, 'serial');
    const context = {
      ...{ queueCount: 1, queueSize: 4, queues: [0], ordered: false, shared: new Int32Array(16) },
      watch: (): void => undefined,
    };
    await assert.rejects(
      async () => createDataPlane({ limits, backend: { backend: 'module', module, options: undefined } }, context),
      { name: 'VduseError', message: `${module} does not export a function createBlockBackend` },
    );
  }
});
