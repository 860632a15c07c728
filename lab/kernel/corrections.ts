import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BuiltMachine } from '../machine/machine.js';

/** A bug in the kernel source that the lab fixes if it is present. */
interface Correction {
  readonly file: string;
  readonly wrong: string;
  readonly right: string;
}

/**
 * User-Mode Linux sets all page table entries of a large folio in one call, and counts down the number of pages where it should
 * step from one page to the next: with three or more pages, all but the first and the last two map wrong pages. A child of a
 * process with an io_uring, whose rings are in such folios, gets wrong pages, and the kernel panics when they are unmapped.
 */
const SET_PTES: Correction = {
  file: 'arch/um/include/asm/pgtable.h',
  wrong: 'pte_val(pte) + (nr << PFN_PTE_SHIFT)',
  right: 'pte_val(pte) + (1UL << PFN_PTE_SHIFT)',
};

/** Kernels with these have it in their name (CONFIG_LOCALVERSION): they need no workaround. */
const CORRECTIONS: Readonly<Record<BuiltMachine, readonly Correction[]>> = { uml: [SET_PTES], qemu: [] };

/** Fixes the source of a machine's kernel; a source without the bug is not changed. */
export function correctSource(machine: BuiltMachine, source: string): void {
  for (const { file, wrong, right } of CORRECTIONS[machine]) {
    const path = join(source, file);
    writeFileSync(path, readFileSync(path, 'utf8').replaceAll(wrong, right));
  }
}

/** Distinguishes sets of corrections. */
export const correctionsKey = (machine: BuiltMachine): string =>
  CORRECTIONS[machine].map(({ file, right }) => `${file}: ${right}\n`).join('');
