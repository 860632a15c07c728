import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Suite, compareVersions } from './apt.js';
import { addToCache, cacheFolder } from './cache.js';
import { LabError, findCommand, runProgram } from './host.js';
import { say } from './progress.js';

/** The tool has not changed since this version; older ones lack commands. */
const WANTED = '6.15';

/** Suites that have it, those for older machines first: a newer one may need a newer C library. */
const SUITES = ['bookworm-backports', 'trixie', 'trixie-backports', 'sid'] as const;

/** The path of iproute2's `vdpa`: in the cache, or the host's own; undefined if none runs and is new enough. */
export async function findReference(): Promise<string | undefined> {
  const entry = readdirSync(cacheFolder()).find((name) => name.startsWith('iproute2-'));
  const cached = entry === undefined ? undefined : join(cacheFolder(), entry, 'vdpa');
  for (const path of [cached, findCommand('vdpa')]) {
    if (path !== undefined && (await hasPendingCommand(path))) return path;
  }
  return undefined;
}

/** Whether this is iproute2's tool, new enough, with its libraries. */
async function hasPendingCommand(path: string): Promise<boolean> {
  const output = await runProgram(path, ['-V']).catch(() => '');
  const version = /iproute2-(\d+\.\d+)/.exec(output)?.[1];
  return version !== undefined && compareVersions(version, WANTED) >= 0;
}

/**
 * Fetches iproute2's `vdpa`, 6.15 or newer, into the cache, from the first suite whose program runs on this machine.
 *
 * @throws {LabError} if there is none
 */
export async function fetchReference(): Promise<string> {
  const problems: string[] = [];
  for (const suiteName of SUITES) {
    try {
      const entry = await addToCache(async (work) => {
        const suite = await Suite.open([suiteName], join(work, suiteName));
        const offer = await suite.offer('iproute2');
        if (offer === undefined || compareVersions(offer.version.replace(/[^\d.].*/, ''), WANTED) < 0) {
          throw new LabError(`${suiteName} has no iproute2 of ${WANTED} or newer`);
        }
        say(`fetching iproute2 ${offer.version}, to compare with its vdpa`);
        mkdirSync(join(work, 'unpacked'));
        await suite.unpack(offer, join(work, 'unpacked'));
        // The same program is in sbin or, on a merged system, in usr/sbin.
        const folder = readdirSync(join(work, 'unpacked')).includes('sbin') ? 'sbin' : 'usr/sbin';
        const path = join(work, 'unpacked', folder);
        await runProgram(join(path, 'vdpa'), ['-V']);
        return { path, name: `iproute2-${offer.version}` };
      });
      return join(entry, 'vdpa');
    } catch (error) {
      if (!(error instanceof LabError)) throw error;
      problems.push(error.message);
    }
  }
  throw new LabError(`failed to fetch iproute2's vdpa:\n${problems.join('\n')}`);
}
