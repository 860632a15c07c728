import { Errno } from '../../../sys/errno.js';
import type { FlushRecord } from '../flush-record.js';

/** The word that the threads of a device share. */
const FAILED = 0;

/**
 * Whether a flush of the device has failed. A failed flush may have lost data permanently, which the next one would not
 * report: from then on every flush fails, in all threads and for the next servers.
 */
export class FlushFailure {
  readonly #shared: Int32Array;
  readonly #record: FlushRecord | undefined;

  /**
   * @param shared words that the data threads of the device share
   * @param record records it for the next server; the previous one may have recorded one
   */
  constructor(shared: Int32Array, record: FlushRecord | undefined) {
    this.#shared = shared;
    this.#record = record;
    if (record?.failed === true) Atomics.store(shared, FAILED, Errno.EIO);
  }

  get hasFailed(): boolean {
    return Atomics.load(this.#shared, FAILED) !== 0;
  }

  /** A flush has failed. */
  set(errno: number): void {
    Atomics.store(this.#shared, FAILED, errno);
    this.#record?.record();
  }
}
