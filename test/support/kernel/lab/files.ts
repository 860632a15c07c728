import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { checkoutRoot } from '../../../../lab/cache.js';
import type { MachineKind } from '../../../../lab/machine/machine.js';
import { MACHINE_KINDS } from '../../../../lab/machine/machine.js';

/**
 * The files that `npm test` runs on the machine qemu too: what a second processor, PCI or disks that take time can change.
 * `npm run test:long` runs the others there.
 */
export const ALSO_ON_QEMU: readonly string[] = [
  'apply',
  'drivers',
  'monitor',
  'tree',
  'vduse-block',
  'vduse-hostile-rings',
];

/** A file of test/kernel/, on one of the machines that it runs on. */
export interface KernelTestFile {
  /** As it was built, a full path. */
  readonly path: string;
  /** For people: `test/kernel/dev.test.ts`. */
  readonly source: string;
  readonly machine: MachineKind;
}

/** Which of the files are to be run. */
export interface Selection {
  /** The files whose path holds it. */
  readonly pattern: string;
  /** All that can run on this machine, and nothing on another. */
  readonly machine: MachineKind | undefined;
  /** What `npm run test:long` runs, and not what `npm test` does. */
  readonly long: boolean;
}

/** The files of test/kernel/ that are chosen, once for each machine that they run on. */
export function kernelTestFiles({ pattern, machine, long }: Selection): KernelTestFile[] {
  const folder = join(checkoutRoot, 'build/test/kernel');
  return readdirSync(folder, { encoding: 'utf8', recursive: true })
    .filter((name) => name.endsWith('.test.js'))
    .sort()
    .map((name) => ({ name, source: `test/kernel/${name.replace(/js$/, 'ts')}` }))
    .filter(({ source }) => source.includes(pattern))
    .flatMap(({ name, source }) =>
      machinesOf(name, machine, long).map((kind) => ({ path: join(folder, name), source, machine: kind })),
    );
}

function machinesOf(name: string, machine: MachineKind | undefined, long: boolean): readonly MachineKind[] {
  const places = placesOf(name);
  if (machine === undefined) return places[long ? 'long' : 'usual'];
  const possible = ownMachine(name) ?? machine;
  return possible === machine && (long || places.usual.length > 0) ? [machine] : [];
}

/** Where `npm test` runs a file, and where `npm run test:long` does. */
interface Places {
  readonly usual: readonly MachineKind[];
  readonly long: readonly MachineKind[];
}

function placesOf(name: string): Places {
  const own = ownMachine(name);
  if (isLong(name)) return { usual: [], long: [own ?? 'uml'] };
  if (own !== undefined) return { usual: [own], long: [] };
  return ALSO_ON_QEMU.includes(basename(name, '.test.js'))
    ? { usual: ['uml', 'qemu'], long: [] }
    : { usual: ['uml'], long: ['qemu'] };
}

/** A folder of test/kernel/ with a machine's name holds what runs on that machine alone. */
const ownMachine = (name: string): MachineKind | undefined => MACHINE_KINDS.find((kind) => name.startsWith(`${kind}/`));

/** A folder long/ holds what takes too long for `npm test`. */
const isLong = (name: string): boolean => dirname(name).split('/').includes('long');
