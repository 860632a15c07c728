/** A counter of each queue of a device. */
export type CounterName =
  /** Chains that were taken and completed. */
  | 'requests'
  /** Bytes of data passed to the driver: read from a disk, received from a network. */
  | 'bytesIn'
  /** Bytes of data received from the driver. */
  | 'bytesOut'
  /** Requests that failed, packets that were dropped. */
  | 'errors'
  | 'interrupts';

export const REQUESTS = 0;
export const BYTES_IN = 1;
export const BYTES_OUT = 2;
export const ERRORS = 3;
export const INTERRUPTS = 4;

/** The counters of a queue, for `DeviceQueue.count` in programs. */
export const QueueCounter = { REQUESTS, BYTES_IN, BYTES_OUT, ERRORS, INTERRUPTS } as const;

/** Not a count: the progress of the device in the queue, or UNKNOWN. */
const POSITION = 5;
const UNKNOWN = -1;
/** Not a count either: one of the states below. */
const STATE = 6;

const SLOTS = 8;

/** The state of a queue. */
export type QueueState = 'stopped' | 'running' | 'unmapped' | 'broken';

/** The number of a state is its place in the list. */
const queueStates: readonly QueueState[] = ['stopped', 'running', 'unmapped', 'broken'];

/** The counters of one queue, in memory that all threads share. One data thread writes them, the others read. */
export class QueueCounters {
  readonly #words: Float64Array;

  private constructor(words: Float64Array) {
    this.#words = words;
  }

  /** Memory for the counters of `queueCount` queues. */
  static allocate(queueCount: number): SharedArrayBuffer {
    const shared = new SharedArrayBuffer(queueCount * SLOTS * 8);
    for (let queue = 0; queue < queueCount; queue++) QueueCounters.at(shared, queue).position = undefined;
    return shared;
  }

  static at(shared: SharedArrayBuffer, queue: number): QueueCounters {
    return new QueueCounters(new Float64Array(shared, queue * SLOTS * 8, SLOTS));
  }

  add(counter: number, count: number): void {
    this.#words[counter] = (this.#words[counter] ?? 0) + count;
  }

  /**
   * The progress of the device, see Virtqueue.nextUsed; undefined if it is unknown, or the queue was not served since
   * the last reset.
   */
  get position(): number | undefined {
    const position = this.#words[POSITION];
    return position === UNKNOWN ? undefined : position;
  }

  set position(position: number | undefined) {
    this.#words[POSITION] = position ?? UNKNOWN;
  }

  get state(): QueueState {
    return queueStates[this.#words[STATE] ?? 0] ?? 'stopped';
  }

  set state(state: QueueState) {
    this.#words[STATE] = queueStates.indexOf(state);
  }

  read(): Record<CounterName, number> {
    const count = (counter: number): number => this.#words[counter] ?? 0;
    return {
      requests: count(REQUESTS),
      bytesIn: count(BYTES_IN),
      bytesOut: count(BYTES_OUT),
      errors: count(ERRORS),
      interrupts: count(INTERRUPTS),
    };
  }
}
