import type { PreparedMachine, Start } from './start.js';
import type { DebianMachine, QemuMachine } from './qemu.js';
import { prepareQemu } from './qemu.js';
import type { UmlMachine } from './uml.js';
import { prepareUml } from './uml.js';

/** What a session runs on: User-Mode Linux, a program of one processor, or a whole machine that QEMU emulates. */
export type Machine = UmlMachine | QemuMachine | DebianMachine;

export type MachineKind = Machine['kind'];

/** Those whose kernel is built here, with an option list in lab/kernel/. */
export type BuiltMachine = Exclude<MachineKind, 'debian'>;

/** All that there are; the first is the one that is taken where none is named. */
export const MACHINE_KINDS = ['uml', 'qemu', 'debian'] as const satisfies readonly MachineKind[];

export const isMachineKind = (word: string): word is MachineKind => MACHINE_KINDS.some((kind) => kind === word);

/** The program, on the host, that a machine is. */
export const programOf = (machine: Machine): readonly [string, ...string[]] =>
  machine.kind === 'uml' ? [machine.kernel] : machine.qemu.program;

/**
 * What is to be run, by the guest's user, for a session on a machine.
 * @throws {LabError} when the machine has no such thing, or cannot be started so
 */
export async function prepareMachine(machine: Machine, start: Start): Promise<PreparedMachine> {
  switch (machine.kind) {
    case 'uml':
      return prepareUml(machine, start);
    case 'qemu':
    case 'debian':
      return prepareQemu(machine, start);
  }
}
