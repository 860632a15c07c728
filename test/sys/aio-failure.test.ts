import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { Errno } from '../../src/sys/errno.js';
import { openEventfd } from '../../src/sys/events.js';
import { koffi } from '../../src/sys/koffi.js';
import { close, libc } from '../../src/sys/libc.js';
import { SystemError } from '../../src/sys/error.js';

/** linux/aio_abi.h: the transfer ends when the file is ready. */
const IOCB_CMD_POLL = 5;
const POLLIN = 1;

/** The number of io_getevents(2), and what it fails with from now on; 0 for nothing. */
const getEvents = process.arch === 'arm64' ? 4 : 208;
let failure = 0;
let calls = 0;

type Call = (...args: number[]) => number;

/** Lets io_getevents(2) fail: an ordinary process cannot bring that about. */
async function openBatch() {
  const declare = libc.func.bind(libc);
  mock.method(libc, 'func', (declaration: string) => {
    const call: Call = declare(declaration);
    if (!declaration.includes(' syscall(')) return call;
    return (...args: number[]): number => {
      if (args[0] !== getEvents || failure === 0) return call(...args);
      if (++calls > 3) throw new Error('it goes on calling');
      koffi.errno(failure);
      return -1;
    };
  });
  const { TransferBatch } = await import('../../src/sys/aio.js');
  return TransferBatch.open(1);
}

test('transfers of which the kernel does not say when they are done: an error, not an endless wait', async (context) => {
  const batch = await openBatch();
  if (!batch) {
    context.skip('the kernel has no asynchronous I/O here');
    return;
  }
  const fd = openEventfd();
  batch.push(IOCB_CMD_POLL, fd, POLLIN, 0, 0);
  failure = Errno.EINVAL;
  assert.throws(
    () => batch.run(),
    (error) => error instanceof SystemError && error.errno === Errno.EINVAL,
  );
  assert.equal(calls, 1);
  batch.close();
  close(fd);
});
