import type { Lab } from '../../lab/boot.js';
import type { MachineKind } from '../../lab/machine/machine.js';
import { MACHINE_KINDS, isMachineKind } from '../../lab/machine/machine.js';
import type { NoLab } from '../../lab/setup.js';
import { findLab } from '../../lab/setup.js';

const chosen = process.env['VDPA_LAB_MACHINE'] ?? '';

/** The only machine to run tests on; undefined if each test decides. */
export const chosenMachine: MachineKind | undefined = isMachineKind(chosen) ? chosen : undefined;

/** The machines under test. */
export const machines: readonly MachineKind[] = chosenMachine === undefined ? MACHINE_KINDS : [chosenMachine];

const labs = new Map<MachineKind, Lab | NoLab>();
for (const machine of machines) labs.set(machine, await findLab(machine));

/**
 * Options of tests that boot a machine of the lab. They are skipped if `npm test` says that this host does not support it;
 * otherwise a missing lab makes them fail.
 */
export function needsLab(machine: MachineKind): { skip?: string } {
  const leftOut = told('LEFT_OUT', machine);
  return leftOut === '' ? {} : { skip: leftOut };
}

/** What failed when `npm test` set the machine up; empty if nothing did. */
export const problemOf = (machine: MachineKind): string => told('PROBLEM', machine);

const told = (what: 'LEFT_OUT' | 'PROBLEM', machine: MachineKind): string =>
  process.env[`VDPA_LAB_${what}_${machine.toUpperCase()}`] ?? '';

/** The lab, with a machine. @throws {Error} if there is none */
export function theLab(machine: MachineKind): Lab {
  const lab = labs.get(machine) ?? { missing: `the machine ${machine} is not under test` };
  if ('missing' in lab) throw new Error(`no lab: ${lab.missing}`);
  return lab;
}
