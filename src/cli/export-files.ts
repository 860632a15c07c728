/** The files that belong to the program, written where other programs look for them. */
import { mkdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Errno, strerror } from '../sys/errno.js';
import { programFiles, programWords } from '../sys/program.js';
import { UsageError } from './error.js';
import { errnoOf } from './io.js';
import { replaceFile } from './replace-file.js';

/** Where the folders of the package go, below a prefix such as /usr/local. */
const places = {
  man: (name: string) => `share/man/man${name.at(-1) ?? ''}/${name}`,
  completions: (name: string) => completionPlaces[name] ?? `share/vdpa/completions/${name}`,
  schemas: (name: string) => `share/vdpa/schemas/${name}`,
  'contrib/systemd': (name: string) => `lib/systemd/system/${basename(name, '.in')}`,
} as const;

const completionPlaces: Readonly<Record<string, string>> = {
  'vdpa.bash': 'share/bash-completion/completions/vdpa',
  _vdpa: 'share/zsh/site-functions/_vdpa',
  'vdpa.fish': 'share/fish/vendor_completions.d/vdpa.fish',
};

const units = 'contrib/systemd';
const isUnit = (name: string): boolean => name.endsWith('.service.in');

/** The folders that ProtectHome=yes hides. */
const homes = ['/home/', '/root/', '/run/user/'];

/**
 * Writes the files of the program below a folder.
 * @param program what units start; by default this program
 * @returns the paths, in the order of writing
 * @throws UsageError if one cannot be written, or if systemd cannot start the program
 */
export function exportFiles(folder: string, program?: string): string[] {
  const fill = unitFiller(program === undefined ? programWords() : [program]);
  return Object.entries(places).flatMap(([from, placeOf]) =>
    programFiles(from).flatMap(({ name, text }) => {
      if (from === units && !isUnit(name)) return [];
      const path = join(folder, placeOf(name));
      makeFolder(dirname(path));
      replaceFile(path, from === units ? fill(text) : text, 0o644);
      return [path];
    }),
  );
}

/** Makes a folder and those above it. Node's own recursion never ends below /proc, where nothing can be made. */
function makeFolder(path: string): void {
  const make = (folder: string): number | undefined => {
    try {
      mkdirSync(folder);
    } catch (error) {
      return errnoOf(error);
    }
    return undefined;
  };
  let errno = make(path);
  if (errno === Errno.ENOENT && dirname(path) !== path) {
    makeFolder(dirname(path));
    errno = make(path);
  }
  if (errno !== undefined && errno !== Errno.EEXIST)
    throw new UsageError(`Cannot create folder "${path}": ${strerror(errno)}`);
}

/** Replaces the names in a template of a unit. @throws UsageError if a unit cannot contain these words */
function unitFiller(words: readonly string[]): (text: string) => string {
  const bad = words.find((word) => /[^\w./@:+,~% -]/.test(word));
  if (bad !== undefined) throw new UsageError(`"${bad}" contains characters that units of systemd cannot start`);
  const values: Readonly<Record<string, string>> = {
    '@VDPA@': words.map((word) => (/[ %]/.test(word) ? `"${word.replaceAll('%', '%%')}"` : word)).join(' '),
    '@PROTECT_HOME@': words.some((word) => homes.some((home) => word.startsWith(home))) ? 'read-only' : 'yes',
    '@WRITER@': '"vdpa self export"',
  };
  return (text) => text.replaceAll(/@[A-Z_]+@/g, (name) => values[name] ?? name);
}
