import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Offer } from '../apt.js';
import { Suite, compareVersions } from '../apt.js';
import { addToCache, cacheFolder, checkoutRoot } from '../cache.js';
import { LabError, requireCommand, runProgram } from '../host.js';
import { say } from '../progress.js';

/** A kernel as shipped by Debian, its modules, and the initramfs that mounts the lab's root, as full paths. */
export interface DebianKernel {
  readonly kernel: string;
  readonly initramfs: string;
  /** What is mounted at /lib/modules of a machine that runs it. */
  readonly modules: string;
}

/** Chooses an older one: the beginning of its version, such as 6.12. */
const VARIABLE = 'VDPA_LAB_DEBIAN_KERNEL';

/** The newest first; each with the release from which its packages need others. */
const SUITES = [
  ['trixie-backports', 'trixie'],
  ['bookworm-backports', 'bookworm'],
] as const;

/** The modules that mount the root, in load order; modprobe(8) skips built-in ones. */
const ROOT_MODULES = ['virtio_pci', '9pnet_virtio', '9p', 'overlay'];

const wantedVersion = (): string => process.env[VARIABLE] ?? '';

/** Whether a version matches: 6.12 and 6.12.3 match 6.12, and every version matches an empty one. */
const isOf = (version: string, wanted: string): boolean => wanted === '' || `${version}.`.startsWith(`${wanted}.`);

/** linux-image-7.3.4+deb13-amd64 → 7.3.4; undefined for other flavors and for packages that are not kernels. */
const versionOf = (name: string): string | undefined => /^linux-image-(\d+(?:\.\d+)+)\+deb\d+-amd64$/.exec(name)?.[1];

/**
 * The newest Debian kernel in the cache; undefined if there is none.
 * @param wanted the beginning of its version; VDPA_LAB_DEBIAN_KERNEL by default
 */
export function cachedDebianKernel(wanted = wantedVersion()): DebianKernel | undefined {
  const newest = readdirSync(cacheFolder())
    .filter((name) => name.startsWith('debian-') && isOf(name.slice('debian-'.length), wanted))
    .sort((a, b) => compareVersions(numbers(a), numbers(b)))
    .at(-1);
  if (newest === undefined) return undefined;
  const folder = join(cacheFolder(), newest);
  return { kernel: join(folder, 'vmlinuz'), initramfs: join(folder, 'initramfs'), modules: join(folder, 'modules') };
}

const numbers = (entry: string): string => /\d+(\.\d+)+/.exec(entry)?.[0] ?? '0';

/**
 * Fetches Debian's newest kernel into the cache. Nothing is installed.
 *
 * @param wanted the beginning of its version; VDPA_LAB_DEBIAN_KERNEL by default
 * @throws {LabError} if none can be fetched
 */
export async function fetchDebianKernel(wanted = wantedVersion()): Promise<void> {
  await addToCache(async (work) => {
    const { suite, image, version } = await newestImage(work, wanted);
    say(`fetching ${image.name} ${image.version}, for the machine debian`);
    const packages = join(work, 'packages');
    const entry = join(work, 'entry');
    for (const folder of [packages, entry]) mkdirSync(folder);
    for (const part of await partsOf(suite, image)) await suite.unpack(part, packages);
    const release = image.name.replace('linux-image-', '');
    // In packages for merged and for split /usr.
    const modules = [join(packages, 'usr/lib/modules'), join(packages, 'lib/modules')].find((path) => existsSync(path));
    const kernel = [join(packages, `boot/vmlinuz-${release}`), join(modules ?? '', release, 'vmlinuz')].find((path) =>
      existsSync(path),
    );
    if (modules === undefined || kernel === undefined) {
      throw new LabError(`${image.name} ${image.version} contains no kernel or no modules`);
    }
    copyFileSync(kernel, join(entry, 'vmlinuz'));
    renameSync(modules, join(entry, 'modules'));
    await runProgram(requireCommand('depmod', 'kmod'), ['-b', depmodRoot(work, entry), release]);
    await makeInitramfs(suite, work, entry, release);
    return { path: entry, name: `debian-${version}` };
  });
}

async function newestImage(work: string, wanted: string): Promise<{ suite: Suite; image: Offer; version: string }> {
  const problems: string[] = [];
  for (const names of SUITES) {
    try {
      const suite = await Suite.open(names, join(work, names[0]));
      const [newest] = (await suite.namesFrom('linux-image-'))
        .flatMap((name) => ({ name, version: versionOf(name) ?? '' }))
        .filter(({ version }) => version !== '' && isOf(version, wanted))
        .sort((a, b) => compareVersions(b.version, a.version));
      const image = newest && (await suite.offer(newest.name));
      if (image) return { suite, image, version: newest.version };
      problems.push(`${names[0]} has no linux-image of ${wanted || 'any'} version`);
    } catch (error) {
      if (!(error instanceof LabError)) throw error;
      problems.push(error.message);
    }
  }
  throw new LabError(`failed to fetch Debian's kernel:\n${problems.join('\n')}`);
}

/** The packages of a kernel: one, or since 7.1 several of the same version. */
async function partsOf(suite: Suite, image: Offer): Promise<Offer[]> {
  const release = image.name.replace('linux-image-', '');
  const names = ['base', 'binary', 'modules'].map((part) => `linux-${part}-${release}`);
  const offers = await Promise.all(names.map((name) => suite.offer(name)));
  return [image, ...offers.filter((offer) => offer !== undefined)];
}

/** A root folder under which depmod(8) and modprobe(8) find the modules of a cache entry. */
function depmodRoot(work: string, entry: string): string {
  const root = join(work, 'root');
  mkdirSync(join(root, 'lib'), { recursive: true });
  if (!existsSync(join(root, 'lib/modules'))) symlinkSync(join(entry, 'modules'), join(root, 'lib/modules'));
  return root;
}

/** An initramfs with busybox, the modules for the root, and lab/kernel/debian-init.sh. */
async function makeInitramfs(suite: Suite, work: string, entry: string, release: string): Promise<void> {
  const root = join(work, 'initramfs');
  mkdirSync(join(root, 'modules'), { recursive: true });
  const busybox = await suite.offer('busybox-static');
  if (busybox === undefined) throw new LabError('package busybox-static not found');
  const unpacked = join(work, 'busybox');
  mkdirSync(unpacked);
  await suite.unpack(busybox, unpacked);
  const program = ['bin/busybox', 'usr/bin/busybox']
    .map((path) => join(unpacked, path))
    .find((path) => existsSync(path));
  if (program === undefined) throw new LabError('the package busybox-static does not contain busybox');
  copyFileSync(program, join(root, 'busybox'));
  copyFileSync(join(checkoutRoot, 'lab/kernel/debian-init.sh'), join(root, 'init'));
  chmodSync(join(root, 'init'), 0o755);
  const files = await modulesToLoad(depmodRoot(work, entry), release);
  for (const [index, file] of files.entries()) {
    const target = join(root, 'modules', `${index.toString().padStart(2, '0')}-${basename(file)}`);
    copyFileSync(file, target);
    if (file.endsWith('.xz')) await runProgram(requireCommand('xz', 'xz-utils'), ['-d', target]);
  }
  const cpio = 'cd "$1" && find . | "$2" cpio -o -H newc >"$3"';
  await runProgram('sh', ['-c', cpio, 'sh', root, program, join(entry, 'initramfs')], { label: 'cpio' });
}

/** The files of the modules that mount the root, and of their dependencies, in order, each once. */
async function modulesToLoad(root: string, release: string): Promise<string[]> {
  const modprobe = requireCommand('modprobe', 'kmod');
  const files = new Set<string>();
  for (const name of ROOT_MODULES) {
    const output = await runProgram(modprobe, ['-d', root, '-S', release, '--show-depends', name]);
    for (const [, file = ''] of output.matchAll(/^insmod (\S+)/gm)) files.add(file);
  }
  return [...files];
}
