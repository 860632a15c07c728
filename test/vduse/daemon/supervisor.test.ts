import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runSupervisor } from '../../../src/vduse/daemon/supervisor.js';
import { LaunchError } from '../../../src/vduse/error.js';
import { withRuntimeFolder } from '../../support/runtime-base.js';

test('a server whose process cannot be started is a launch error', async () => {
  const { execPath } = process;
  const ignore = (): void => undefined;
  const events = { ready: ignore, ending: ignore, warning: ignore, log: ignore };
  await withRuntimeFolder('foo0', async (path) => {
    process.execPath = `${path}/no-such-program`;
    try {
      await assert.rejects(
        runSupervisor({ name: 'foo0', type: 'block' }, events, { force: false }),
        (error) => error instanceof LaunchError && error.message.includes('no-such-program'),
      );
    } finally {
      process.execPath = execPath;
    }
  });
});
