import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { compareVersions } from './apt.js';
import { addToCache, cacheFolder } from './cache.js';
import { LabError, runProgram } from './host.js';

/** The versions of Node that the project is tested with, from the oldest supported to the newest. */
export const NODE_MAJORS = [20, 22, 24, 26] as const;

/** A Node in the cache. */
export interface NodeVersion {
  /** `v20.20.2` */
  readonly version: string;
  readonly file: string;
}

/**
 * Node from the npm package `node`, fetched into the cache unless it is already there.
 * @throws {LabError} if it cannot be fetched
 */
export async function fetchNode(major: number): Promise<NodeVersion> {
  const name = `node-${major}`;
  const file = join(cacheFolder(), name, 'node');
  if (!existsSync(file)) {
    await addToCache(async (work) => {
      const install = ['install', '--prefix', work, '--no-audit', '--no-fund', '--loglevel=error', `node@${major}`];
      await runProgram('npm', install, { label: `npm install node@${major}` });
      return { path: join(work, 'node_modules/node/bin'), name };
    });
  }
  return { version: (await runProgram(file, ['--version'])).trim(), file };
}

const known = new Map<string, boolean>();

/** Whether a Node opens an io_uring by itself; if the host's kernel does not permit it, whether its libuv supports it. */
export function opensIoUring(node: string): boolean {
  let answer = known.get(node);
  if (answer === undefined) {
    const { status, stdout } = spawnSync(node, ['--input-type=module', '-e', TELL_RINGS], {
      encoding: 'utf8',
      env: {},
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (status !== 0) throw new LabError(`${node} does not run`);
    const [libuv = '', rings = ''] = stdout.trim().split(' ');
    answer = Number(rings) > 0 || compareVersions(libuv, FIRST_WITH_RING) >= 0;
    known.set(node, answer);
  }
  return answer;
}

/** Some versions open theirs for the first asynchronous file operation. */
const TELL_RINGS = `
  import { readdir, readlink } from 'node:fs/promises';
  const link = async (fd) => readlink('/proc/self/fd/' + fd).catch(() => '');
  const rings = (await Promise.all((await readdir('/proc/self/fd')).map(link))).filter((to) => to.includes('[io_uring]'));
  console.log(process.versions.uv, rings.length);`;

/** Node's own builds of 1.46 and older lack it. */
const FIRST_WITH_RING = '1.47';
