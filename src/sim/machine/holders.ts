/** The simulated programs that use devices: processes of this machine that have recorded themselves in the state. */
import { processStart } from '../../sys/process-start.js';
import type { HolderState, SimState } from '../state/model.js';
import type { MachineDraft } from '../state/store.js';

/** A process holds the node of a device, which the kernel therefore does not release yet. */
export class NodeHeldError extends Error {
  override readonly name = 'NodeHeldError';
}

/** Whether the process that recorded itself still runs. */
export function isAlive({ pid, started }: HolderState): boolean {
  return processStart(pid) === started;
}

/** The running processes that use a node or an interface. @param node `vhost-vdpa-0`, `vda`, `eth0` */
export function holdersOf(state: SimState, node: string): HolderState[] {
  return state.holders.filter((holder) => holder.node === node && isAlive(holder));
}

/** Records a process as a user of a node or an interface. Those that have ended are forgotten. */
export function hold(draft: MachineDraft, holder: HolderState): void {
  draft.holders = [...draft.holders.filter(isAlive), holder];
}

/** Ends the use by a process. */
export function release(draft: MachineDraft, { pid, started, node }: HolderState): void {
  draft.holders = draft.holders.filter(
    (other) => !(other.pid === pid && other.started === started && other.node === node),
  );
}

/** Ends all uses of a node or an interface that no longer exists: its name is given out again. */
export function forget(draft: MachineDraft, node: string): void {
  if (draft.holders.some((holder) => holder.node === node)) {
    draft.holders = draft.holders.filter((holder) => holder.node !== node);
  }
}

/** The interval of checks whether a node was closed, in milliseconds. */
const napMs = 20;

/**
 * Makes a change that may have to wait until a node is closed: the kernel waits uninterruptibly, and so does this.
 * @param change throws NodeHeldError to be repeated
 */
export function whenReleased<Result>(change: () => Result): Result {
  for (;;) {
    try {
      return change();
    } catch (error) {
      if (!(error instanceof NodeHeldError)) throw error;
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, napMs);
  }
}
