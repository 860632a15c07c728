/**
 * What a test run inside the lab tells the one outside, as it happens: one JSON document a line.
 * `nesting` is 0 for a test at the top of its file; `place` tells tests of the same name apart.
 */
export type TestEvent =
  | ({ readonly kind: 'start' } & TestId)
  | ({ readonly kind: 'end'; readonly outcome: Outcome } & TestId)
  | { readonly kind: 'diagnostic'; readonly message: string }
  /** The run came to its end; without this event it did not. */
  | { readonly kind: 'done' };

export interface TestId {
  readonly nesting: number;
  readonly name: string;
  readonly place: string;
}

export interface Outcome {
  /** Undefined where the test passed, or failed only because one of its subtests did. */
  readonly error?: ReportedError;
  /** A reason, or true without one; undefined where the test was not skipped. */
  readonly skip?: string | true;
  readonly todo?: string | true;
}

/** What is left of an error on its way from one process to the other. */
export interface ReportedError {
  readonly name: string;
  readonly message: string;
  readonly stack: string;
}
