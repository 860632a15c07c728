/** A data plane for tests of its host, which load it into a separate thread. */
import type { CreateDataPlane } from '../../src/vduse/engine/data-plane.js';
import { WAIT } from '../../src/vduse/engine/data-plane.js';

/** What it does, and where it counts what happens to it. */
export interface TestPlaneOptions {
  /** The message of an error while it is created. */
  readonly fails?: string;
  /** What no thread can be given. */
  readonly symbol?: symbol;
  /** How often each event has happened; see {@link testPlaneWord}. */
  readonly words: SharedArrayBuffer;
}

export const testPlaneWord = { created: 0, started: 1, changed: 2, closed: 3, queues: 4, length: 5 } as const;

export const createDataPlane: CreateDataPlane<TestPlaneOptions> = ({ fails, words: shared }, { queues }) => {
  const words = new Int32Array(shared);
  const count = (word: number): void => {
    Atomics.add(words, word, 1);
  };
  if (fails !== undefined) throw new Error(fails);
  count(testPlaneWord.created);
  for (const queue of queues) Atomics.or(words, testPlaneWord.queues, 1 << queue);
  return {
    start: () => {
      count(testPlaneWord.started);
    },
    serve: () => WAIT,
    change: (change) => {
      count(testPlaneWord.changed);
      if (change === 'fail') throw new Error('the change failed');
      if (change === 'end') process.exit(3);
    },
    close: () => {
      count(testPlaneWord.closed);
    },
  };
};
