import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { RuntimeFolder } from '../../../src/vduse/daemon/runtime-folder.js';
import { VduseError } from '../../../src/vduse/error.js';
import type { RecordedSpec } from '../../../src/vduse/spec/instance-record.js';
import { withRuntimeFolder } from '../../support/runtime-base.js';

const SPEC: RecordedSpec = {
  type: 'block',
  backend: 'ram',
  queues: 1,
  queueSize: 128,
  packed: false,
  features: 2n ** 32n,
};

for (const [kind, text] of [
  ['empty', ''],
  ['cut', '{"type":"block","que'],
  ['not an object', 'null'],
  ['without features', '{"type":"block"}'],
] as const) {
  test(`a record that is damaged (${kind}) is an error, and with "force" replaced`, async () => {
    await withRuntimeFolder('foo0', (path) => {
      const { folder, release } = RuntimeFolder.claim('foo0');
      try {
        writeFileSync(join(path, 'instance'), text);
        const record = folder.record(false);
        for (const use of [
          () => record.read(),
          () => {
            record.check(SPEC);
          },
        ]) {
          assert.throws(
            use,
            (error) => error instanceof VduseError && error.message.includes('record of instance foo0 is damaged'),
          );
        }
        const forced = folder.record(true);
        forced.check(SPEC);
        forced.keep(SPEC);
        assert.deepEqual(record.read(), SPEC);
        writeFileSync(join(path, 'instance'), text);
      } finally {
        release();
      }
    });
  });
}
