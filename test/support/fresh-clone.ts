import { execFileSync } from 'node:child_process';
import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { checkoutRoot } from '../../lab/cache.js';
import { needs } from './kernel/lab/needs.js';

/** Options of tests that make a clone: skipped without git, or if this checkout is not a git repository. */
export const needsGit = existsSync(join(checkoutRoot, '.git')) ? needs('git') : { skip: 'this is not a clone' };

/** Makes `folder` look like a clone of this checkout with all changes committed: nothing installed, nothing built. */
export function cloneFresh(folder: string): void {
  const git = (...argv: string[]): string =>
    execFileSync('git', ['-c', 'safe.directory=*', ...argv], { cwd: checkoutRoot, encoding: 'utf8' });
  const deleted = new Set(git('ls-files', '-z', '--deleted').split('\0'));
  for (const path of git('ls-files', '-z', '--cached', '--others', '--exclude-standard').split('\0')) {
    if (path !== '' && !deleted.has(path)) cpSync(join(checkoutRoot, path), join(folder, path));
  }
}
