import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BuiltMachine } from '../machine/machine.js';

/** A fault of the kernel's source that the lab mends, where it is there. */
interface Correction {
  readonly file: string;
  readonly wrong: string;
  readonly right: string;
}

/**
 * User-Mode Linux sets the page table entries of a large folio at once, and counts its pages down where it should step from
 * one to the next: of three pages or more, all but the first and the last two map others. A child of a process with an
 * io_uring, whose rings lie in such folios, gets wrong pages, and the kernel panics when they are unmapped.
 */
const SET_PTES: Correction = {
  file: 'arch/um/include/asm/pgtable.h',
  wrong: 'pte_val(pte) + (nr << PFN_PTE_SHIFT)',
  right: 'pte_val(pte) + (1UL << PFN_PTE_SHIFT)',
};

/** The kernels with these call themselves so (CONFIG_LOCALVERSION): what they mend need not be worked around. */
const CORRECTIONS: Readonly<Record<BuiltMachine, readonly Correction[]>> = { uml: [SET_PTES], qemu: [] };

/** Mends the source of a machine's kernel; a source without the fault stays as it is. */
export function correctSource(machine: BuiltMachine, source: string): void {
  for (const { file, wrong, right } of CORRECTIONS[machine]) {
    const path = join(source, file);
    writeFileSync(path, readFileSync(path, 'utf8').replaceAll(wrong, right));
  }
}

/** What tells one set of corrections from another. */
export const correctionsKey = (machine: BuiltMachine): string =>
  CORRECTIONS[machine].map(({ file, right }) => `${file}: ${right}\n`).join('');
