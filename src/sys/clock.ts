/**
 * Milliseconds since a fixed point in the past; monotonic. Equals `performance.now()` without loading Node's
 * performance hooks, which takes longer than many a command.
 */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}
