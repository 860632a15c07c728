/** Where the state of a simulated machine is kept. */
import type { SimState } from './model.js';

/** Keeps the state of a machine. */
export interface MachineStore {
  /** The state as it is now. Not to be changed. */
  read(): SimState;
  /**
   * Changes the state, all or nothing: if `change` throws, nothing is stored. No other process changes it in the
   * meantime.
   */
  update<Result>(change: (state: SimState) => Result): Result;
  /** To be called, and waited for, before {@link update}. */
  prepare?(): void | Promise<void>;
  /** Gives back what is held. */
  close?(): void;
}

/** A machine that lives in this process only. */
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

/** A state that can be changed without changing the first: its devices and instances are never changed in place. */
export function copyState(state: SimState): SimState {
  return {
    ...state,
    devices: [...state.devices],
    vduse: [...state.vduse],
    files: [...state.files],
    fault_hits: [...state.fault_hits],
  };
}
