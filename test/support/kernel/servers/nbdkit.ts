import '../lab/inside.js';
import { truncateSync, writeFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { newPath, startNbdkit, type ServerProcess } from '../../nbd-server.js';
import { diskOf, sh, start } from './vduse.js';

const VDPA = '/run/bin/vdpa';

/**
 * A disk on nbdkit, in a file of 64 MiB. Both end with the test. One thread for each connection: with more, nbdkit 1.32.4
 * to 1.33.9 abort when a client with requests in flight is killed (raw_send_socket: Assertion `sock >= 0' failed).
 */
export async function onNbdkit(
  context: TestContext,
  name: string,
  ...options: readonly string[]
): Promise<{ readonly server: ServerProcess; readonly path: string; readonly disk: string }> {
  const path = newDiskFile();
  const server = await startNbdkit('--threads=1', 'file', path);
  context.after(() => server.kill());
  return { server, path, disk: await addDisk(context, name, server.uri, ...options) };
}

/** An empty file of 64 MiB. */
export function newDiskFile(): string {
  const path = newPath('disk');
  writeFileSync(path, '');
  truncateSync(path, 2 ** 26);
  return path;
}

/** A disk on an NBD server. It is deleted with the test. */
export async function addDisk(
  context: TestContext,
  name: string,
  uri: string,
  ...options: readonly string[]
): Promise<string> {
  await sh([VDPA, 'dev', 'add', 'mgmtdev', 'vduse', 'name', name, 'uri', uri, ...options].join(' '));
  context.after(() => start(VDPA, 'dev', 'del', name, 'force'));
  return diskOf(name);
}
