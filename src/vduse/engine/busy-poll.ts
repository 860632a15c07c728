/** Maximum number of polls before a thread sleeps. */
const MAX_SPINS = 32;
/** Maximum number of sleeps without polling after polls that found nothing. */
const MAX_PAUSE = 64;

/**
 * Limits how long a data thread polls for more work before it sleeps: as long as polling has been worthwhile recently.
 * A wake-up costs the driver a kick and the thread a few system calls; polling costs processor time that others may
 * need.
 *
 * A thread polls only after it has done work, and then a bounded number of times: an idle thread sleeps.
 */
export class BusyPoll {
  #looks = MAX_SPINS;
  /** Sleeps until the next poll, and how many there will be the next time. */
  #pause = 0;
  #nextPause = 1;

  /** Returns how often to poll before a sleep. */
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

  /** None of the polls has found work. */
  missed(): void {
    this.#looks >>= 1;
    if (this.#looks > 0) return;
    this.#looks = MAX_SPINS;
    this.#pause = this.#nextPause;
    this.#nextPause = Math.min(this.#nextPause * 2, MAX_PAUSE);
  }
}
