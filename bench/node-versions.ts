import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { addToCache, cacheFolder } from '../lab/cache.js';
import { leaveOut } from './report.js';

/** A Node to measure with. */
export interface NodeVersion {
  /** `v20.20.2` */
  readonly version: string;
  readonly file: string;
}

const majors = [20, 22, 24, 26];

/** The versions of Node that the program is measured with, as npm's package `node` brings them, kept outside the tree. */
export async function nodeVersions(): Promise<NodeVersion[]> {
  const found: NodeVersion[] = [];
  for (const major of majors) {
    const file = join(cacheFolder(), `node-${major}`, 'node');
    try {
      if (!existsSync(file)) await install(major);
      found.push({ version: run(file, ['--version']).trim(), file });
    } catch (error) {
      leaveOut(`Node ${major}`, error instanceof Error ? error.message : String(error));
    }
  }
  return found;
}

async function install(major: number): Promise<void> {
  await addToCache((work) => {
    run('npm', ['install', '--prefix', work, '--no-audit', '--no-fund', '--loglevel=error', `node@${major}`]);
    return { path: join(work, 'node_modules/node/bin'), name: `node-${major}` };
  });
}

function run(file: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(file, args, { encoding: 'utf8' });
  if (status === 0) return stdout;
  throw new Error(error?.message ?? (stderr.trim() === '' ? `${file} failed` : stderr));
}
