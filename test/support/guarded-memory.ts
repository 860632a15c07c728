/** Loses mapped memory in a way that the argument names, in a separate process; see test/sys/memory-guard.test.ts. */
import { Worker, isMainThread, workerData } from 'node:worker_threads';
import { constants, openSync } from 'node:fs';
import { errnoName } from '../../src/sys/errno.js';
import { ftruncate, memfdCreate, pwrite } from '../../src/sys/file.js';
import { useGuardedCopies, copyMemory, fillMemory } from '../../src/sys/guarded-copy.js';
import { checked, lastErrno } from '../../src/sys/libc.js';
import {
  MAP_SHARED,
  mapFile,
  NativeBuffer,
  pageSize,
  PROT_READ,
  PROT_WRITE,
  viewMemory,
} from '../../src/sys/memory.js';
import { installMemoryGuard, LostMemory } from '../../src/sys/memory-guard.js';
import { MappingTable } from '../../src/vduse/engine/mappings.js';

const PAGES = 3;
const BYTES = PAGES * pageSize;
const O_TMPFILE = 0o20200000;

const fd = checked('create a memory file', memfdCreate('guarded', 1));
checked('set its size', ftruncate(fd, BYTES));
const map = (): number => mapFile('map it', fd, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, 0);

if (isMainThread) {
  const scenario = process.argv[2] ?? '';
  const guard = installMemoryGuard();
  const table = MappingTable.allocate();
  const lost = new LostMemory(guard, table.shared.entries);
  const mapped = scenario === 'unregistered' ? undefined : table.add(BYTES, table.revocations, map);
  const address = mapped?.view ?? map();
  const bytes = new Uint8Array(viewMemory(address, BYTES));
  bytes.fill(7);
  switch (scenario) {
    case 'registered':
    case 'unregistered':
      checked('truncate it', ftruncate(fd, pageSize));
      bytes[2 * pageSize] = 1;
      console.log(JSON.stringify({ bytes: [0, 1, 2].map((page) => bytes[page * pageSize]), lost: lost.check() }));
      console.log(JSON.stringify({ lost: lost.check() }));
      break;
    case 'truncated':
    case 'revoked': {
      if (guard) useGuardedCopies(guard.copies);
      if (scenario === 'truncated') checked('truncate it', ftruncate(fd, pageSize));
      else table.revokeAll();
      const own = new NativeBuffer(BYTES);
      own.u8.fill(1);
      const transfer = mapped?.transfer ?? 0;
      const copied = [copyMemory(own.address, transfer, BYTES), copyMemory(transfer, own.address, BYTES)];
      const filled = fillMemory(transfer, 9, BYTES);
      const pages = [0, 1, 2].map((page) => own.u8[page * pageSize]);
      const file = openSync('/tmp', O_TMPFILE | constants.O_RDWR, 0o600);
      const written = pwrite(file, transfer + pageSize, pageSize, 0);
      const error = errnoName(lastErrno());
      console.log(JSON.stringify({ copied, filled, pages, written, error, seen: bytes[pageSize], lost: lost.check() }));
      break;
    }
    case 'unguarded':
      lost.end();
      checked('truncate it', ftruncate(fd, 0));
      bytes[0] = 1;
      break;
    case 'other-thread':
      checked('truncate it', ftruncate(fd, 0));
      new Worker(new URL(import.meta.url), { workerData: address });
      break;
    case 'kill':
      process.kill(process.pid, 'SIGBUS');
      setInterval(() => undefined, 1000);
      break;
  }
} else {
  new Uint8Array(viewMemory(workerData as number, BYTES))[0] = 1;
}
