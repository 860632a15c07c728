/** Disks whose I/O fails, and checks that it does. */
import '../lab/inside.js';
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { ServerProcess } from './server-process.js';
import { attach, bash, diskOf, start } from './vduse.js';

/** Runs dd with direct I/O. Returns whether it succeeded. */
export async function dd(...words: readonly string[]): Promise<boolean> {
  const { status, stderr } = await start('dd', 'bs=4k', 'status=none', ...words);
  if (status !== 0) assert.match(stderr, /Input\/output error|No space left|No such device/);
  return status === 0;
}

/** A block device that another server serves from a file, in place of a real disk that fails. */
export async function lowerDisk(context: TestContext): Promise<{ readonly path: string; readonly disk: string }> {
  const path = '/tmp/lower';
  await bash(`rm -f ${path}; truncate -s 16M ${path}`);
  const lower = await ServerProcess.start({ name: 'lower', backend: { type: 'file', path } });
  await attach('lower');
  let attached = true;
  context.after(async () => {
    if (attached) await start('/run/bin/vdpa-iproute2', 'dev', 'del', 'lower');
    attached = false;
    await lower.stop();
  });
  return { path, disk: await diskOf('lower') };
}

/** Long enough for a server to check the size of its file, which it does once a second, without any event. */
export const MEASURED_MS = 4000;
