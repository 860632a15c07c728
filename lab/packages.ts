import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkoutRoot } from './cache.js';
import { LabError, findCommand, isDebian, isRoot, runProgram } from './host.js';

/** What a package is needed for; see lab/debian-packages.txt. */
export type Need = 'guest' | 'kernel' | 'reference' | 'vduse' | 'shells';

interface Package {
  readonly names: readonly [string, ...string[]];
  readonly need: Need;
  readonly command: string | undefined;
}

const isNeed = (word: string): word is Need => ['guest', 'kernel', 'reference', 'vduse', 'shells'].includes(word);

function readList(): Package[] {
  const file = join(checkoutRoot, 'lab/debian-packages.txt');
  return readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [names = '', need = '', command = ''] = line.split(/\s+/);
      const [first, ...others] = names.split('|');
      if (!first || !isNeed(need) || command === '') throw new LabError(`${file}: not understood: ${line}`);
      return { names: [first, ...others], need, command: command === '-' ? undefined : command };
    });
}

/** The packages (on Debian) or commands (elsewhere) of lab/debian-packages.txt that are needed and not there. */
export async function missingPackages(needs: readonly Need[]): Promise<string[]> {
  const wanted = readList().filter((entry) => needs.includes(entry.need));
  if (!isDebian()) {
    return wanted.flatMap(({ command }) => (command === undefined || findCommand(command) ? [] : [command]));
  }
  const known = await runProgram('dpkg-query', ['--show', '--showformat', '${Package} ${db:Status-Status}\n']);
  const installed = new Set(
    known.split('\n').flatMap((line) => (line.endsWith(' installed') ? line.split(' ')[0] : [])),
  );
  return wanted.filter(({ names }) => !names.some((name) => installed.has(name))).map(({ names }) => names[0]);
}

/** Whether this process may install Debian packages. */
export const canInstall = (): boolean => isDebian() && isRoot();

/** Installs Debian packages. @throws {LabError} with apt-get's words */
export async function installPackages(names: readonly string[]): Promise<void> {
  const install = ['-q', '-y', '-o', 'DPkg::Lock::Timeout=300', '--no-install-recommends', 'install', '--', ...names];
  try {
    await runProgram('apt-get', install);
  } catch {
    // A fresh machine has no package lists, an older one has lists whose files are gone.
    await runProgram('apt-get', ['-q', '-o', 'Acquire::Retries=3', 'update']);
    await runProgram('apt-get', install);
  }
}
