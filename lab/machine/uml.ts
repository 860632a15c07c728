import { LabError, requireCommand } from '../host.js';
import { takeProcessor } from './processor.js';
import type { PreparedMachine, Start } from './start.js';

/** User-Mode Linux: the kernel is a program on the host, and the host's files are its root through hostfs. */
export interface UmlMachine {
  readonly kind: 'uml';
  readonly kernel: string;
}

/** @throws {LabError} for more than one processor */
export function prepareUml({ kernel }: UmlMachine, start: Start): PreparedMachine {
  if ((start.processors ?? 1) !== 1) {
    throw new LabError('User-Mode Linux has one processor; the machine qemu may have more');
  }
  const taskset = requireCommand('taskset', 'util-linux');
  const processor = takeProcessor();
  const command = [
    ...[taskset, '-c', String(processor.number), kernel],
    ...['rootfstype=hostfs', 'rootflags=/', `mem=${start.memoryMiB}M`, 'seccomp=auto', `uml_dir=${start.folder}/uml`],
    ...['con0=fd:0,fd:1', 'con=null', `init=${start.init}`],
    ...start.kernelWords,
  ];
  return { command, followsTerminal: true, release: processor.release };
}
