import { mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Offer } from './apt.js';
import { Suite, compareVersions } from './apt.js';
import { addToCache, cacheFolder } from './cache.js';
import { LabError, findCommand, runProgram } from './host.js';
import { unpackedProgram, type Qemu } from './machine/qemu.js';
import { say } from './progress.js';

/** Older ones have not been tested. */
const WANTED = '10.0';

const PACKAGE = 'qemu-system-x86';

const hasPendingCommand = (version: string): boolean => compareVersions(version, WANTED) >= 0;

/** The host's own QEMU if it is new enough, otherwise the one in the cache; undefined if there is none. */
export async function findQemu(): Promise<Qemu | undefined> {
  const path = findCommand('qemu-system-x86_64');
  if (path !== undefined) {
    const output = await runProgram(path, ['--version']).catch(() => '');
    const version = /version (\d+\.\d+)/.exec(output)?.[1];
    if (version !== undefined && hasPendingCommand(version)) return { program: [path], version };
  }
  const entry = readdirSync(cacheFolder()).find((name) => name.startsWith('qemu-'));
  if (entry === undefined) return undefined;
  const folder = join(cacheFolder(), entry);
  return { program: unpackedProgram(folder), folder, version: entry.replace('qemu-', '') };
}

/**
 * Fetches QEMU, with those of its libraries and firmware that the host lacks, from the host's own Debian release or its
 * backports, and unpacks it into the cache. Nothing is installed: the host's own packages are not changed.
 *
 * @throws {LabError} if there is none
 */
export async function fetchQemu(): Promise<void> {
  await addToCache(async (work) => {
    const { suite, offer } = await newestQemu(work);
    say(`fetching QEMU ${offer.version}, for the machine qemu`);
    const folder = join(work, 'unpacked');
    mkdirSync(folder);
    for (const part of await suite.closure(offer)) await suite.unpack(part, folder);
    const [program, ...options] = unpackedProgram(folder);
    await runProgram(program, [...options, '--version'], { label: 'the unpacked QEMU' });
    return { path: folder, name: `qemu-${offer.version.replace(/^\d+:/, '')}` };
  });
}

async function newestQemu(work: string): Promise<{ suite: Suite; offer: Offer }> {
  const release = debianRelease();
  if (release === undefined) throw new LabError('/etc/os-release does not name this release of Debian');
  const problems: string[] = [];
  for (const names of [[`${release}-backports`, release] as const, [release] as const]) {
    try {
      const suite = await Suite.open(names, join(work, names[0]));
      const offer = await suite.offer(PACKAGE);
      if (offer !== undefined && hasPendingCommand(/\d+\.\d+/.exec(offer.version)?.[0] ?? '0')) return { suite, offer };
      problems.push(`${names[0]} has no QEMU of ${WANTED} or newer`);
    } catch (error) {
      if (!(error instanceof LabError)) throw error;
      problems.push(error.message);
    }
  }
  throw new LabError(`failed to fetch QEMU:\n${problems.join('\n')}`);
}

/** The code name of the host's release, such as bookworm: packages of other releases need other libraries. */
const debianRelease = (): string | undefined =>
  /^VERSION_CODENAME="?([a-z]+)"?$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
