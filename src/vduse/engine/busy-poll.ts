/** Looks at most so often for more before a thread sleeps. */
const MAX_SPINS = 32;
/** After looks that found nothing, at most so many sleeps go by without a look. */
const MAX_PAUSE = 64;

/**
 * How long a data thread looks for more work before it sleeps: as long as that has lately been worth it. To be woken costs
 * the driver a kick and the thread a few system calls; looking costs processor time that others may want.
 *
 * A thread looks only after it has done something, and then a bounded number of times: one that has nothing to do sleeps.
 */
export class BusyPoll {
  #looks = MAX_SPINS;
  /** Sleeps to go by before the next look, and how many it will be the next time. */
  #pause = 0;
  #nextPause = 1;

  /** To be asked before a sleep: how often to look first. */
  looks(): number {
    if (this.#pause === 0) return this.#looks;
    this.#pause--;
    return 0;
  }

  /** Look `look`, counted from 1, has found something. */
  found(look: number): void {
    this.#looks = Math.min(look * 2, MAX_SPINS);
    this.#nextPause = 1;
  }

  /** None of the looks has found anything. */
  missed(): void {
    this.#looks >>= 1;
    if (this.#looks > 0) return;
    this.#looks = MAX_SPINS;
    this.#pause = this.#nextPause;
    this.#nextPause = Math.min(this.#nextPause * 2, MAX_PAUSE);
  }
}
