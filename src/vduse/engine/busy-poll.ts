import { availableParallelism } from 'node:os';
import { yieldProcessor } from '../../sys/process.js';

/** Maximum number of polls before a thread sleeps. */
const MAX_SPINS = 32;
/** Maximum number of sleeps without polling after polls that found nothing. */
const MAX_PAUSE = 64;
/** Accesses to memory between two polls: about a microsecond. */
const PAUSE_ACCESSES = 200;

const isAlone = availableParallelism() === 1;
const word = new Int32Array(new SharedArrayBuffer(4));

/**
 * Limits how long a data thread polls for more work before it sleeps: as long as polling has been worthwhile recently.
 * A wake-up costs the driver a kick and the thread a few system calls; polling costs processor time that others may
 * need.
 *
 * A thread polls only after it has done work, and then a bounded number of times: an idle thread sleeps.
 */
export class BusyPoll {
  #spins = MAX_SPINS;
  /** Sleeps until the next poll, and how many there will be the next time. */
  #pause = 0;
  #nextPause = 1;

  /** Returns how often to poll before a sleep. */
  spins(): number {
    if (this.#pause === 0) return this.#spins;
    this.#pause--;
    return 0;
  }

  /**
   * Lets a little time pass between two polls. The driver may need the only processor there is; with several,
   * sched_yield(2) could give this one to somebody else for milliseconds.
   */
  pause(): void {
    if (isAlone) yieldProcessor();
    else for (let access = 0; access < PAUSE_ACCESSES; access++) Atomics.load(word, 0);
  }

  /** Poll `spin`, counted from 1, has found work. */
  hit(spin: number): void {
    this.#spins = Math.min(spin * 2, MAX_SPINS);
    this.#nextPause = 1;
  }

  /** None of the polls has found work. */
  miss(): void {
    this.#spins >>= 1;
    if (this.#spins > 0) return;
    this.#spins = MAX_SPINS;
    this.#pause = this.#nextPause;
    this.#nextPause = Math.min(this.#nextPause * 2, MAX_PAUSE);
  }
}
