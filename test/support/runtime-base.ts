import { chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SERVERS_FOLDER } from '../../src/vduse/daemon/runtime-path.js';

/** Root's runtime directory is /run: tests run by root use another user. */
const user = process.geteuid?.() === 0 ? 1000 : (process.geteuid?.() ?? 1000);

/**
 * Runs a task with a temporary runtime directory, which contains one for the servers of a device.
 * @param task called with the path of the latter
 */
export async function withRuntimeFolder(device: string, task: (path: string) => void | Promise<void>): Promise<void> {
  const base = mkdtempSync(join(tmpdir(), 'vdpa-runtime-'));
  const before = process.env['XDG_RUNTIME_DIR'];
  process.env['XDG_RUNTIME_DIR'] = base;
  const { geteuid } = process;
  process.geteuid = () => user;
  try {
    let path = base;
    for (const name of [...SERVERS_FOLDER, device]) {
      path = join(path, name);
      mkdirSync(path, { mode: 0o700 });
      chownSync(path, user, -1);
    }
    await task(path);
  } finally {
    if (geteuid) process.geteuid = geteuid;
    if (before === undefined) delete process.env['XDG_RUNTIME_DIR'];
    else process.env['XDG_RUNTIME_DIR'] = before;
    rmSync(base, { recursive: true });
  }
}
