import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of this checkout: this module is in build/lab. */
export const checkoutRoot = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/**
 * The folder outside the tree where kernels and tools for the lab are kept; created if it does not exist.
 *
 * It is /var/cache/vdpa-lab for root, so that an unprivileged guest can read it, otherwise
 * `$XDG_CACHE_HOME/vdpa-lab` or `~/.cache/vdpa-lab`.
 */
export function cacheFolder(): string {
  const xdg = process.env['XDG_CACHE_HOME'];
  const base = process.getuid?.() === 0 ? '/var/cache' : xdg?.startsWith('/') ? xdg : join(homedir(), '.cache');
  const folder = join(base, 'vdpa-lab');
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  return folder;
}

/** A new entry for the cache: a file or folder in the work folder, and the name of the entry. */
export interface Made {
  readonly path: string;
  readonly name: string;
}

/**
 * Adds an entry to the cache atomically: `make` gets an empty folder to work in, which is removed at the end. If two runs make
 * the same entry at the same time, both work, and the last one stays.
 *
 * @returns the entry's path
 */
export async function addToCache(make: (work: string) => Promise<Made> | Made): Promise<string> {
  removeStaleWork();
  const work = mkdtempSync(join(cacheFolder(), 'work-'));
  const remove = () => {
    rmSync(work, { recursive: true, force: true });
  };
  process.on('exit', remove);
  try {
    const { path, name } = await make(work);
    const entry = join(cacheFolder(), name);
    if (statSync(path).isDirectory()) rmSync(entry, { recursive: true, force: true });
    renameSync(path, entry);
    return entry;
  } finally {
    process.off('exit', remove);
    remove();
  }
}

/** Removes what killed runs have left behind: a build takes minutes and 2 GB. */
function removeStaleWork(): void {
  const yesterday = Date.now() - 24 * 60 * 60 * 1000;
  for (const name of readdirSync(cacheFolder()).filter((entry) => entry.startsWith('work-'))) {
    const folder = join(cacheFolder(), name);
    const madeAt = statSync(folder, { throwIfNoEntry: false })?.birthtimeMs ?? Infinity;
    if (madeAt < yesterday) rmSync(folder, { recursive: true, force: true });
  }
}
