import type { Faults } from './faults.js';
import type { MachineStore } from '../state/store.js';

/** The context of the handlers of the family. */
export interface VdpaContext {
  readonly machine: MachineStore;
  readonly faults: Faults;
}
