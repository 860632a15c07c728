/** Storage for the state of a simulated machine. */
import type { SimState } from './model.js';

/** Stores the state of a machine. */
export interface MachineStore {
  /** The current state. Must not be changed. */
  read(): SimState;
  /**
   * Changes the state, all or nothing: if `change` throws, nothing is stored. No other process changes it in the
   * meantime.
   */
  update<Result>(change: (state: SimState) => Result): Result;
  /** Must be called and awaited before {@link update}. */
  prepare?(): void | Promise<void>;
  /** Releases all resources. */
  close?(): void;
}

/** A machine in the memory of this process. */
export class MemoryStore implements MachineStore {
  #state: SimState;

  constructor(state: SimState) {
    this.#state = state;
  }

  read(): SimState {
    return this.#state;
  }

  update<Result>(change: (state: SimState) => Result): Result {
    const changed = copyState(this.#state);
    const result = change(changed);
    this.#state = changed;
    return result;
  }
}

/** A copy that can be changed independently: devices and instances are never changed in place. */
export function copyState(state: SimState): SimState {
  return {
    ...state,
    devices: [...state.devices],
    vduse: [...state.vduse],
    files: [...state.files],
    fault_hits: [...state.fault_hits],
  };
}
