import type { PreparedMachine, Start } from './start.js';
import type { DebianMachine, QemuMachine } from './qemu.js';
import { prepareQemu } from './qemu.js';
import type { UmlMachine } from './uml.js';
import { prepareUml } from './uml.js';

/** What a session runs on: User-Mode Linux, a program with one processor, or a complete machine emulated by QEMU. */
export type Machine = UmlMachine | QemuMachine | DebianMachine;

export type MachineKind = Machine['kind'];

/** The machines whose kernel is built here, from an option list in lab/kernel/. */
export type BuiltMachine = Exclude<MachineKind, 'debian'>;

/** All machines; the first one is the default. */
export const MACHINE_KINDS = ['uml', 'qemu', 'debian'] as const satisfies readonly MachineKind[];

export const isMachineKind = (word: string): word is MachineKind => MACHINE_KINDS.some((kind) => kind === word);

/** The program on the host that runs a machine. */
export const programOf = (machine: Machine): readonly [string, ...string[]] =>
  machine.kind === 'uml' ? [machine.kernel] : machine.qemu.program;

/**
 * Prepares the command that the guest's user runs for a session on a machine.
 * @throws {LabError} if the machine does not support the options, or cannot be started
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
