import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkoutRoot } from '../../lab/cache.js';

test('docs/tour.svg shows what the commands print today; it leaves no files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vdpa-tour-test-'));
  try {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(checkoutRoot, 'scripts/tour.mjs'), '-'], {
      // Settings for the tests do not apply to the picture.
      env: { ...process.env, TMPDIR: folder, VDPA_SIM_FAULTS: 'dev show errno EIO' },
      encoding: 'utf8',
    });
    assert.equal(stderr, '');
    assert.equal(status, 0);
    assert.equal(
      stdout,
      readFileSync(join(checkoutRoot, 'docs/tour.svg'), 'utf8'),
      'docs/tour.svg is out of date: "npm run tour" draws it again',
    );
    assert.deepEqual(readdirSync(folder), []);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
