import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { addToCache, cacheFolder } from './cache.js';
import { LabError, requireCommand, runProgram } from './host.js';

/** Names a ready kernel to use instead of a built one: a User-Mode Linux program, plain or packed with xz. */
const VARIABLE = 'VDPA_LAB_KERNEL';

/** The path that VDPA_LAB_KERNEL gives; undefined where it is unset or empty. */
export const givenKernel = (): string | undefined => (process.env[VARIABLE] === '' ? undefined : process.env[VARIABLE]);

/**
 * Copies a ready kernel into the cache, unpacked, under the name of its content: the guest's user may not be able to
 * read it where it is.
 *
 * @returns the copy's path
 * @throws {LabError} when the file cannot be read, or is no such kernel
 */
export async function importKernel(path: string): Promise<string> {
  const problem = (error: unknown): LabError =>
    new LabError(`${VARIABLE}=${path} is no kernel to use: ${error instanceof Error ? error.message : String(error)}`);
  let content: Buffer;
  try {
    content = readFileSync(path);
  } catch (error) {
    throw problem(error);
  }
  const name = `given-${createHash('sha256').update(content).digest('hex').slice(0, 16)}`;
  const entry = join(cacheFolder(), name);
  if (existsSync(entry)) return entry;
  return addToCache(async (work) => {
    const copy = join(work, 'kernel');
    if (content.subarray(0, 6).equals(Buffer.from('\xfd7zXZ\0', 'latin1'))) {
      copyFileSync(path, `${copy}.xz`);
      await runProgram(requireCommand('xz', 'xz-utils'), ['-d', `${copy}.xz`]);
    } else {
      copyFileSync(path, copy);
    }
    chmodSync(copy, 0o755);
    await runProgram(copy, ['--version']).catch((error: unknown) => {
      throw problem(error);
    });
    return { path: copy, name };
  });
}
