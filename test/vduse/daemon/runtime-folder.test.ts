import assert from 'node:assert/strict';
import { chmodSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { RuntimeFolder } from '../../../src/vduse/daemon/runtime-folder.js';
import { VduseError } from '../../../src/vduse/error.js';
import { withRuntimeFolder } from '../../support/runtime-base.js';

test('a runtime folder that others can write to is rejected, and no descriptor stays open', async () => {
  await withRuntimeFolder('foo0', (path) => {
    const countOpen = (): number => readdirSync('/proc/self/fd').length;
    const open = countOpen();
    chmodSync(path, 0o777);
    for (const enter of [() => RuntimeFolder.find('foo0'), () => RuntimeFolder.claim('foo0')]) {
      assert.throws(enter, (error) => error instanceof VduseError && error.message.includes('foo0'));
      assert.equal(countOpen(), open);
    }
    chmodSync(path, 0o700);
    chmodSync(join(path, '..'), 0o777);
    assert.throws(() => RuntimeFolder.names(), VduseError);
    assert.equal(countOpen(), open);
  });
});
