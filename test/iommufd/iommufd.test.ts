import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';

import { Iommufd } from '../../src/iommufd/iommufd.js';
import { SystemError } from '../../src/sys/error.js';

const folder = mkdtempSync(join(tmpdir(), 'vdpa-iommufd-'));
const file = join(folder, 'file');
writeFileSync(file, '');
after(() => {
  rmSync(folder, { recursive: true });
});

describe('/dev/iommu', () => {
  test('that is missing: the error says what the kernel needs', () => {
    const path = join(folder, 'missing');
    assert.throws(() => Iommufd.open(path), { name: 'SystemError', code: 'ENOENT', hint: /CONFIG_IOMMUFD/ });
    assert.throws(
      () => Iommufd.open(path),
      (error) => error instanceof Error && error.message.includes(path),
    );
  });

  test('that is something else: the error of the system, without advice', () => {
    for (const [path, code] of [
      [folder, 'EISDIR'],
      [join(file, 'below'), 'ENOTDIR'],
    ] as const) {
      assert.throws(
        () => Iommufd.open(path),
        (error) => {
          assert.ok(error instanceof SystemError);
          assert.deepEqual([error.code, error.hint], [code, undefined]);
          return true;
        },
      );
    }
  });

  test('that is not a device rejects every request', () => {
    const iommufd = Iommufd.open(file);
    const refused = { name: 'SystemError', code: 'ENOTTY' };
    assert.throws(() => iommufd.allocateIoas(), refused);
    assert.throws(() => iommufd.rlimitMode, refused);
    assert.throws(() => (iommufd.rlimitMode = 'process'), refused);
    assert.throws(() => iommufd.vfioIoas, refused);
    assert.throws(() => (iommufd.vfioIoas = undefined), refused);
    iommufd.close();
  });

  test('is closed once: a descriptor that later gets the same number stays open', () => {
    const iommufd = Iommufd.open(file);
    iommufd.close();
    const next = Iommufd.open(file);
    assert.equal(next.fd, iommufd.fd);
    iommufd.close();
    assert.throws(() => next.allocateIoas(), { code: 'ENOTTY' });
    next.close();
    assert.throws(() => next.allocateIoas(), { code: 'EBADF' });
  });
});
