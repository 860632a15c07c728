import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { checkoutRoot } from '../../../../lab/cache.js';
import type { MachineKind } from '../../../../lab/machine/machine.js';
import { MACHINE_KINDS } from '../../../../lab/machine/machine.js';

/**
 * The files that `npm test` also runs on the machine qemu: those that a second processor, PCI or slow disks can affect. `npm run
 * test:long` runs the others there.
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
  /** The full path of the compiled file. */
  readonly path: string;
  /** The source file, for messages: `test/kernel/dev.test.ts`. */
  readonly source: string;
  readonly machine: MachineKind;
}

/** Selects the files to run. */
export interface Selection {
  /** Files whose path contains this. */
  readonly pattern: string;
  /** Only what can run on this machine. */
  readonly machine: MachineKind | undefined;
  /** What `npm run test:long` runs, instead of what `npm test` runs. */
  readonly long: boolean;
}

/** The selected files of test/kernel/, once for each machine that they run on. */
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

/** Machines on which `npm test` runs a file, and on which `npm run test:long` does. */
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

/** A folder of test/kernel/ named after a machine contains what runs only on that machine. */
const ownMachine = (name: string): MachineKind | undefined => MACHINE_KINDS.find((kind) => name.startsWith(`${kind}/`));

/** A folder long/ contains what takes too long for `npm test`. */
const isLong = (name: string): boolean => dirname(name).split('/').includes('long');
