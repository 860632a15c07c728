import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Errno } from '../../src/sys/errno.js';
import { koffi } from '../../src/sys/koffi.js';
import { close, lastErrno } from '../../src/sys/libc.js';

test('an error number that is read too late is never 0', () => {
  assert.equal(close(-1), -1);
  assert.equal(lastErrno(), Errno.EBADF);
  koffi.errno(0);
  assert.equal(lastErrno(), Errno.EIO);
});
