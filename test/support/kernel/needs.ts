import { accessSync, constants, existsSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Options of a test that uses other programs, or a part of the kernel: leaves it out where one is not there, and says
 * which. On Debian, as root, `npm test` installs the programs before (lab/debian-packages.txt), so that none is left out.
 *
 * @param things names of programs, and full paths: /dev/vduse/control
 */
export function needs(...things: readonly string[]): { skip?: string } {
  const missing = things.filter((thing) => !(thing.startsWith('/') ? existsSync(thing) : isOnPath(thing)));
  return missing.length === 0 ? {} : { skip: `missing: ${missing.join(' ')}` };
}

function isOnPath(command: string): boolean {
  return (process.env['PATH'] ?? '').split(':').some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
