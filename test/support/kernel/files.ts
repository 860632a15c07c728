import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { checkoutRoot } from '../../../lab/cache.js';
import type { MachineKind } from '../../../lab/machine/machine.js';
import { MACHINE_KINDS } from '../../../lab/machine/machine.js';

/** The files that run on the machine qemu too: what a second processor, PCI or disks that take time can change. */
const ALSO_ON_QEMU: readonly string[] = ['apply', 'drivers', 'monitor', 'tree', 'vduse-block'];

/** A file of test/kernel/, on one of the machines that it runs on. */
export interface KernelTestFile {
  /** As it was built, a full path. */
  readonly path: string;
  /** For people: `test/kernel/dev.test.ts`. */
  readonly source: string;
  readonly machine: MachineKind;
}

/**
 * The files of test/kernel/ whose path holds the pattern, once for each machine that they run on.
 * @param machine runs all that can run there on this machine, and nothing on another
 */
export function kernelTestFiles(pattern: string, machine: MachineKind | undefined): KernelTestFile[] {
  const folder = join(checkoutRoot, 'build/test/kernel');
  return readdirSync(folder, { encoding: 'utf8', recursive: true })
    .filter((name) => name.endsWith('.test.js'))
    .sort()
    .map((name) => ({ name, source: `test/kernel/${name.replace(/js$/, 'ts')}` }))
    .filter(({ source }) => source.includes(pattern))
    .flatMap(({ name, source }) =>
      (machine === undefined ? machinesOf(name) : possibleMachines(name).filter((kind) => kind === machine)).map(
        (kind) => ({ path: join(folder, name), source, machine: kind }),
      ),
    );
}

/** A folder of test/kernel/ with a machine's name holds what runs on that machine alone. */
const ownMachine = (name: string): MachineKind | undefined => MACHINE_KINDS.find((kind) => name.startsWith(`${kind}/`));

function possibleMachines(name: string): readonly MachineKind[] {
  const own = ownMachine(name);
  return own === undefined ? MACHINE_KINDS : [own];
}

function machinesOf(name: string): readonly MachineKind[] {
  const own = ownMachine(name);
  if (own !== undefined) return [own];
  return ALSO_ON_QEMU.includes(basename(name, '.test.js')) ? ['uml', 'qemu'] : ['uml'];
}
