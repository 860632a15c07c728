import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Suite } from './apt.js';
import { addToCache, cacheFolder } from './cache.js';
import { LabError } from './host.js';
import { say } from './progress.js';

const PACKAGE = 'libblkio1';

/** Its path in the package. */
const LIBRARY = 'usr/lib/x86_64-linux-gnu/libblkio.so.1';

/** Suites that have it. It needs only the C library, in bookworm's version or newer. */
const SUITES = ['trixie', 'sid'] as const;

/** The path of libblkio, a third-party driver for /dev/vhost-vdpa-N: the host's own, or in the cache. */
export function findLibblkio(): string | undefined {
  const entry = readdirSync(cacheFolder()).find((name) => name.startsWith('libblkio-'));
  const cached = entry === undefined ? [] : [join(cacheFolder(), entry, LIBRARY)];
  return [join('/', LIBRARY), ...cached].find((path) => existsSync(path));
}

/**
 * Fetches libblkio into the cache, from Debian's archive.
 *
 * @throws {LabError} if there is none
 */
export async function fetchLibblkio(): Promise<void> {
  const problems: string[] = [];
  for (const suiteName of SUITES) {
    try {
      await addToCache(async (work) => {
        const suite = await Suite.open([suiteName], join(work, suiteName));
        const offer = await suite.offer(PACKAGE);
        if (offer === undefined) throw new LabError(`${suiteName} has no ${PACKAGE}`);
        say(`fetching libblkio ${offer.version}, for tests of disks`);
        const path = join(work, 'unpacked');
        mkdirSync(path);
        await suite.unpack(offer, path);
        return { path, name: `libblkio-${offer.version}` };
      });
      return;
    } catch (error) {
      if (!(error instanceof LabError)) throw error;
      problems.push(error.message);
    }
  }
  throw new LabError(`failed to fetch libblkio:\n${problems.join('\n')}`);
}
