/**
 * What a test run inside the lab reports to the one outside, as it happens: one JSON document per line. `nesting` is 0 for a
 * top-level test; `place` distinguishes tests of the same name.
 */
export type TestEvent =
  | ({ readonly kind: 'start' } & TestId)
  | ({ readonly kind: 'end'; readonly outcome: Outcome } & TestId)
  | { readonly kind: 'diagnostic'; readonly message: string }
  /** The run is complete; without this event it is not. */
  | { readonly kind: 'done' };

export interface TestId {
  readonly nesting: number;
  readonly name: string;
  readonly place: string;
}

export interface Outcome {
  /** Undefined if the test passed, or failed only because one of its subtests did. */
  readonly error?: ReportedError;
  /** A reason, or true without one; undefined if the test was not skipped. */
  readonly skip?: string | true;
  readonly todo?: string | true;
}

/** The parts of an error that are passed from one process to the other. */
export interface ReportedError {
  readonly name: string;
  readonly message: string;
  readonly stack: string;
}
