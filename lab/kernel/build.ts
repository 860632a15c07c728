import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Offer } from '../apt.js';
import { Suite, compareVersions } from '../apt.js';
import { addToCache, cacheFolder, checkoutRoot } from '../cache.js';
import { LabError, runProgram } from '../host.js';
import type { BuiltMachine } from '../machine/machine.js';
import { Progress, say } from '../progress.js';
import { correctSource, correctionsKey } from './corrections.js';

/** The suites with the newest kernel sources; the second list is tried if none of the first can be read. */
const SUITES = [['trixie-backports', 'sid'], ['bookworm-security']] as const;

/** The make(1) target of what a machine runs, and its architecture. */
const TARGETS = {
  uml: { architecture: 'um', file: 'linux' },
  qemu: { architecture: 'x86_64', file: 'vmlinux' },
} as const satisfies Record<BuiltMachine, { architecture: string; file: string }>;

const optionsIn = (text: string): string[] => text.split('\n').filter((line) => line.startsWith('CONFIG_'));

/** The options of a machine's kernel: the common ones, and its own. */
const optionsOf = (machine: BuiltMachine): string[] =>
  ['common', machine]
    .flatMap((list) => optionsIn(readFileSync(join(checkoutRoot, `lab/kernel/${list}.config`), 'utf8')))
    .sort();

/** A short hash of what the kernel is built with; comments and the order of options are ignored. */
const optionKey = (machine: BuiltMachine): string =>
  createHash('sha256')
    .update(optionsOf(machine).join('\n') + correctionsKey(machine))
    .digest('hex')
    .slice(0, 12);

/** The newest kernel in the cache that was built from the current option list; undefined if there is none. */
export function builtKernel(machine: BuiltMachine): string | undefined {
  const ending = `-${optionKey(machine)}`;
  const versions = readdirSync(cacheFolder())
    .filter((name) => name.startsWith('linux-') && name.endsWith(ending))
    .sort((a, b) => compareVersions(numbers(a), numbers(b)));
  const newest = versions.at(-1);
  return newest === undefined ? undefined : join(cacheFolder(), newest);
}

/** linux-7.3.4-1~bpo13+1-0123456789ab → 7.3.4 */
const numbers = (entry: string): string => /\d+(\.\d+)+/.exec(entry)?.[0] ?? '0';

/**
 * Builds a machine's kernel from Debian's newest linux-source package into the cache, which takes some minutes, and temporarily 2
 * GB in the cache folder.
 *
 * @returns the kernel's path
 * @throws {LabError} if no source can be fetched, or the build fails
 */
export async function buildKernel(machine: BuiltMachine): Promise<string> {
  return addToCache(async (work) => {
    const { suite, offer } = await newestSource(work);
    const fetching = new Progress(`fetching and unpacking ${offer.name} ${offer.version}`);
    fetching.update('started');
    await suite.unpack(offer, work);
    const source = join(work, offer.name);
    await runProgram('tar', ['-C', work, '-xf', join(work, 'usr/src', `${offer.name}.tar.xz`)]);
    fetching.done();
    const path = await compile(machine, source, join(work, 'build'), `building the kernel ${offer.version}`);
    return { path, name: `linux-${offer.version}-${optionKey(machine)}` };
  });
}

async function compile(machine: BuiltMachine, source: string, output: string, label: string): Promise<string> {
  mkdirSync(output);
  correctSource(machine, source);
  const { architecture, file } = TARGETS[machine];
  const make = ['-C', source, `ARCH=${architecture}`, `O=${output}`];
  const wanted = optionsOf(machine);
  const optionList = join(output, 'wanted.config');
  writeFileSync(optionList, `${wanted.join('\n')}\n`);
  const progress = new Progress(label);
  await runProgram('make', [...make, `KCONFIG_ALLCONFIG=${optionList}`, 'allnoconfig']);
  const got = new Set(optionsIn(readFileSync(join(output, '.config'), 'utf8')));
  const lost = wanted.filter((option) => !got.has(option));
  if (lost.length > 0) say(`this kernel does not support ${lost.join(' ')}: what needs it does not work in the lab`);
  await runProgram('make', [...make, `-j${availableParallelism()}`, 'prepare']);
  const total = await countFiles([...make, file]);
  let objects = 0;
  await runProgram('make', [...make, `-j${availableParallelism()}`, file], {
    onLine: (line) => {
      if (MADE.test(line)) progress.update(`${++objects}${total === 0 ? '' : ` of ${Math.max(objects, total)}`} files`);
    },
  });
  progress.done();
  const kernel = join(output, file);
  await runProgram('strip', [kernel]);
  chmodSync(kernel, 0o755);
  return kernel;
}

/** What make(1) prints for each file it builds: a line, or in a dry run the command that prints it. */
const MADE = /(?:^|^[^']*\becho ') {2}(CC|AS|AR|LD)\s/;

/** How many files make(1) would build, as far as it knows before it builds any; 0 if it cannot tell. */
async function countFiles(make: readonly string[]): Promise<number> {
  let files = 0;
  const onLine = (line: string): void => {
    if (MADE.test(line)) files++;
  };
  // It ends with an error at the first step that reads a file it has not built.
  await runProgram('make', ['--dry-run', ...make], { onLine }).catch(() => '');
  return files;
}

async function newestSource(work: string): Promise<{ suite: Suite; offer: Offer }> {
  const problems: string[] = [];
  for (const names of SUITES) {
    const found: { suite: Suite; offer: Offer }[] = [];
    for (const name of names) {
      try {
        const suite = await Suite.open([name], join(work, name));
        for (const offer of await kernelSources(suite)) found.push({ suite, offer });
      } catch (error) {
        if (!(error instanceof LabError)) throw error;
        problems.push(error.message);
      }
    }
    const newest = found.sort((a, b) => compareVersions(numbers(a.offer.version), numbers(b.offer.version))).at(-1);
    if (newest === undefined) continue;
    return newest;
  }
  throw new LabError(`failed to fetch a linux-source package:\n${problems.join('\n')}`);
}

async function kernelSources(suite: Suite): Promise<Offer[]> {
  const names = (await suite.namesFrom('linux-source-')).filter((name) => /^linux-source-\d+\.\d+$/.test(name));
  return (await Promise.all(names.map((name) => suite.offer(name)))).filter((offer) => offer !== undefined);
}
