import type { Faults } from './faults.js';
import type { MachineStore } from '../state/store.js';

/** What the handlers of the family work on. */
export interface VdpaContext {
  readonly machine: MachineStore;
  readonly faults: Faults;
}
