/** The ways to carry out operations of a file that are in flight together. */
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { directAlignment } from '../../../../src/sys/statx.js';
import { AioCarrier } from '../../../../src/vduse/block/backends/aio-carrier.js';
import type { Carrier } from '../../../../src/vduse/block/backends/carrier.js';
import { RingCarrier } from '../../../../src/vduse/block/backends/ring-carrier.js';
import { ThreadPool } from '../../../../src/vduse/block/backends/thread-pool.js';
import type { AioMode } from '../../../../src/vduse/spec/fields.js';

export type AsyncMode = Exclude<AioMode, 'sync'>;

export const asyncModes = ['io_uring', 'native', 'threads'] as const satisfies AsyncMode[];

/** @returns undefined if this machine has none of that kind */
export function openCarrier(aio: AsyncMode, fd: number, depth = 64): Carrier | undefined {
  switch (aio) {
    case 'io_uring':
      return RingCarrier.open(fd, depth);
    case 'native':
      return AioCarrier.open(fd, depth);
    case 'threads':
      return new ThreadPool(fd);
  }
}

/** Why tests of a mode are skipped, or false. */
export function whySkipped(aio: AsyncMode): string | false {
  const probed = openCarrier(aio, -1, 1);
  probed?.close();
  return probed === undefined && `this machine does not permit aio ${aio}`;
}

/** Why tests of blocks of 4 KiB without the page cache are skipped, or false. */
export function whyNotDirect(): string | false {
  const folder = mkdtempSync(join(tmpdir(), 'vdpa-direct-'));
  const fd = openSync(join(folder, 'file'), 'w+');
  const alignment = directAlignment(fd);
  closeSync(fd);
  rmSync(folder, { recursive: true });
  return (alignment === undefined || 4096 % alignment.offset !== 0) && `no direct access to files of ${tmpdir()}`;
}
