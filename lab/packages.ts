import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkoutRoot } from './cache.js';
import { LabError, findCommand, isDebian, isRoot, runProgram } from './host.js';
import { Progress, say } from './progress.js';

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
      if (!first || !isNeed(need) || command === '') throw new LabError(`${file}: invalid line: ${line}`);
      return { names: [first, ...others], need, command: command === '-' ? undefined : command };
    });
}

/** What is missing, by what it is needed for: packages on Debian, commands elsewhere. */
export type Missing = ReadonlyMap<Need, readonly string[]>;

/**
 * Installs all packages of lab/debian-packages.txt that are missing for the needs, as root on Debian, unless VDPA_INSTALL is 0.
 * First prints what it installs, or otherwise what is missing and how to install it, all together.
 *
 * @returns what is still missing
 * @throws {LabError} with apt-get's message
 */
export async function providePackages(needs: readonly Need[]): Promise<Missing> {
  const missing = new Map<Need, string[]>();
  for (const need of needs) missing.set(need, await missingPackages([need]));
  const names = [...new Set([...missing.values()].flat())];
  if (names.length === 0) return missing;
  if (mayInstall()) {
    say(`installing ${names.length} Debian packages, as root: ${names.join(' ')} (VDPA_INSTALL=0 disables this)`);
    await installPackages(names);
    return new Map();
  }
  if (isDebian()) {
    const asRoot = isRoot() ? '' : 'sudo ';
    say(`missing packages; to install them: ${asRoot}apt-get install --no-install-recommends ${names.join(' ')}`);
  } else {
    say(`missing programs: ${names.join(' ')}`);
  }
  return missing;
}

/** The packages (on Debian) or commands (elsewhere) of lab/debian-packages.txt that are needed but missing. */
async function missingPackages(needs: readonly Need[]): Promise<string[]> {
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
const mayInstall = (): boolean => isDebian() && isRoot() && process.env['VDPA_INSTALL'] !== '0';

/** Installs Debian packages. @throws {LabError} with apt-get's message */
async function installPackages(names: readonly string[]): Promise<void> {
  const install = ['-q', '-y', '-o', 'DPkg::Lock::Timeout=300', '--no-install-recommends', 'install', '--', ...names];
  const progress = new Progress('installing');
  // Dependencies are installed too.
  let total = names.length;
  let done = 0;
  const onLine = (line: string): void => {
    total = Number(/^\d+ upgraded, (\d+) newly installed/.exec(line)?.[1] ?? total);
    if (line.startsWith('Setting up ')) done++;
    if (/^(Get:|Unpacking |Setting up )/.test(line)) progress.update(`${done} of ${total} packages set up`);
  };
  try {
    await runProgram('apt-get', install, { onLine });
  } catch {
    // A fresh machine has no package lists, an older one has lists whose files are gone.
    await runProgram('apt-get', ['-q', '-o', 'Acquire::Retries=3', 'update']);
    done = 0;
    await runProgram('apt-get', install, { onLine });
  }
  progress.done();
}
