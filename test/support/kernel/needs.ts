import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

/**
 * Options of a test that uses other programs: leaves it out where one of them is not there, and says which. On Debian,
 * as root, `npm test` installs them before (lab/debian-packages.txt), so that nothing is left out.
 */
export function needs(...commands: readonly string[]): { skip?: string } {
  const missing = commands.filter((command) => !isOnPath(command));
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
