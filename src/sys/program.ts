import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assetText } from './assets.js';

/** Defined in a bundle only: where the modules of threads are, relative to its files. */
declare const VDUSE_MODULES: string | undefined;

/** Defined in the single executable only: true. */
declare const VDPA_IS_EXECUTABLE: boolean | undefined;

/** Whether this program is a single executable that contains Node, the native module and the other files. */
export const isExecutable = typeof VDPA_IS_EXECUTABLE === 'boolean';

/** The words with which this program is started again: an executable, and for Node the path of a script. */
export function programWords(): [file: string, ...args: string[]] {
  if (isExecutable) return [process.execPath];
  const place = typeof VDUSE_MODULES === 'string' ? '../vdpa.js' : '../main.js';
  return [process.execPath, fileURLToPath(new URL(place, import.meta.url))];
}

/** A file that belongs to the program, with its path below a folder: `output/dev-show.schema.json` below `schemas`. */
export interface ProgramFile {
  readonly name: string;
  readonly text: string;
}

/**
 * The files below a folder of the program, at any depth, in the order of their names.
 * @param folder man, completions, schemas or contrib/systemd
 */
export function programFiles(folder: string): ProgramFile[] {
  if (isExecutable) {
    // The build writes it (scripts/build-binary.mjs).
    const files = JSON.parse(assetText('files.json')) as Readonly<Record<string, readonly ProgramFile[]>>;
    return [...(files[folder] ?? [])];
  }
  return filesBelow(join(packageFolder(), folder));
}

/** The regular files below a folder, at any depth, in the order of their names. */
export function filesBelow(folder: string): ProgramFile[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((path) => ({ name: path.slice(folder.length + 1), text: readFileSync(path, 'utf8') }));
}

function packageFolder(): string {
  for (let folder = import.meta.dirname; folder !== '/'; folder = dirname(folder)) {
    if (existsSync(join(folder, 'man/vdpa.8'))) return folder;
  }
  throw new Error(`no man/vdpa.8 above ${import.meta.dirname}`);
}
