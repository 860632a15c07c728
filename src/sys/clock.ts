/**
 * Milliseconds from some fixed point in the past, never going back. It is `performance.now()` without loading Node's
 * performance hooks, which takes longer than many a command.
 */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}
