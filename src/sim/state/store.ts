/** Storage for the state of a simulated machine. */
import type { SimState } from './model.js';

/** The entries of a uevent, as a datagram has them: `add@/devices/foo0`, `ACTION=add` …, each without its NUL. */
export type UeventEntries = readonly string[];

/** A state while it is changed, with the events of the change. */
export interface MachineDraft extends SimState {
  readonly uevents: UeventEntries[];
  /** The time of the change. */
  readonly now: number;
}

/** The clock of a machine: milliseconds since 1970, as Date.now() has them. */
export type Clock = () => number;

/** Stores the state of a machine. */
export interface MachineStore {
  /** The current state. Must not be changed. */
  read(): SimState;
  /** The time on the machine. */
  readonly now: Clock;
  /**
   * Changes the state, all or nothing: if `change` throws, nothing is stored. No other process changes it in the
   * meantime.
   */
  update<Result>(change: (state: MachineDraft) => Result): Result;
  /** Must be called and awaited before {@link update}. */
  prepare?(): void | Promise<void>;
  /** Releases all resources. */
  close?(): void;
}

/** A machine in the memory of this process. */
export class MemoryStore implements MachineStore {
  readonly now: Clock;
  #state: SimState;
  readonly #listeners = new Set<(uevent: UeventEntries) => void>();

  constructor(state: SimState, { now = Date.now }: { readonly now?: Clock } = {}) {
    this.#state = state;
    this.now = now;
  }

  read(): SimState {
    return this.#state;
  }

  update<Result>(change: (state: MachineDraft) => Result): Result {
    const draft = draftOf(this.#state, this.now());
    const result = change(draft);
    this.#state = stateOf(draft);
    for (const uevent of draft.uevents) for (const listener of this.#listeners) listener(uevent);
    return result;
  }

  /** Calls a function with each uevent from now on. Returns a function that ends this. */
  listen(listener: (uevent: UeventEntries) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }
}

/** A copy that can be changed independently: devices and instances are never changed in place. */
export function draftOf(state: SimState, now: number): MachineDraft {
  return {
    ...state,
    devices: [...state.devices],
    vduse: [...state.vduse],
    files: [...state.files],
    fault_hits: [...state.fault_hits],
    holders: [...state.holders],
    uevents: [],
    now,
  };
}

/** The state that a change has made. */
export function stateOf(draft: MachineDraft): SimState {
  const { version, machine, devices, vduse, files, fault_hits, holders, kernel } = draft;
  return { version, machine, devices, vduse, files, fault_hits, holders, kernel };
}
