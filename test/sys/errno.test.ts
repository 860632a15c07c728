import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { Errno, errnoName, strerror } from '../../src/sys/errno.js';
import { libc } from '../../src/sys/libc.js';

const libcStrerror: (errno: number) => string = libc.func('const char *strerror(int errno)');

void test('texts are those of the C library', () => {
  for (let errno = 0; errno <= 600; errno++) assert.equal(strerror(errno), libcStrerror(errno), `errno ${errno}`);
});

void test('numbers are those that Node was built with', () => {
  for (const [name, number] of Object.entries(constants.errno)) {
    if (name in Errno) assert.equal(Errno[name as keyof typeof Errno], number, name);
    else assert.ok(Object.values<number>(Errno).includes(number), `${name} is an alias of a known number`);
  }
});

void test('a number has a name, and the name leads back to the number', () => {
  assert.equal(errnoName(19), 'ENODEV');
  assert.equal(errnoName(Errno.EOPNOTSUPP), 'EOPNOTSUPP');
  assert.equal(errnoName(1234), 'errno 1234');
  for (const [name, number] of Object.entries(Errno)) assert.equal(errnoName(number), name);
});
