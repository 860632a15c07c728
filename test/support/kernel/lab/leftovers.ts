import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';

/** The process IDs of the running VDUSE servers. */
export function runningServers(): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^[0-9]+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('\0vduse\0serve\0');
    } catch {
      return false;
    }
  });
}

/** Checks that there is no device, no instance, no server, and no file of a server. */
export function nothingLeft(): void {
  assert.deepEqual(runningServers(), []);
  assert.deepEqual(readdirSync('/dev/vduse'), ['control']);
  assert.deepEqual(readdirSync('/sys/bus/vdpa/devices'), []);
  if (existsSync('/run/vdpa/vduse')) assert.deepEqual(readdirSync('/run/vdpa/vduse'), []);
}
