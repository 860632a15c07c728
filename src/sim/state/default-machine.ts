import { identityOfBlock } from './identity.js';
import { bareMachine, type MachineState } from './model.js';
import { FIRST_MINOR, toInstance } from './vduse-instance.js';

/** The initial machine: the default one, and a program that serves a disk of 64 MiB, `foo0`. */
export const defaultMachine: MachineState = {
  ...bareMachine,
  vduse: [toInstance('foo0', identityOfBlock({ type: 'block', name: 'foo0' }), FIRST_MINOR)],
};
