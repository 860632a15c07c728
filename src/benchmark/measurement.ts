/** What a benchmark has measured. */
import { LatencyHistogram } from './latency.js';

/** `loop`: a packet was sent and came back. `send`: it was sent. */
export type OperationName = 'read' | 'write' | 'send' | 'loop';

/** Requests of one kind. */
export interface OperationTotals {
  readonly name: OperationName;
  readonly requests: number;
  readonly bytes: number;
  /** From before a request is written to the queue, until its driver has found it completed. */
  readonly latency: LatencyHistogram;
}

export interface Measurement {
  readonly operations: readonly OperationTotals[];
  readonly seconds: number;
  /** The processor time of the driver's process as a share of that time, from 0 to 1. */
  readonly busy: number;
  /** Packets that did not come back. */
  readonly lost: number;
}

/** Several measurements of the same load as one. */
export function sum(parts: readonly Measurement[]): Measurement {
  const operations = new Map<OperationName, { requests: number; bytes: number; latency: LatencyHistogram }>();
  let seconds = 0;
  let busySeconds = 0;
  let lost = 0;
  for (const part of parts) {
    seconds += part.seconds;
    busySeconds += part.busy * part.seconds;
    lost += part.lost;
    for (const { name, requests, bytes, latency } of part.operations) {
      let totals = operations.get(name);
      if (!totals) operations.set(name, (totals = { requests: 0, bytes: 0, latency: new LatencyHistogram() }));
      totals.requests += requests;
      totals.bytes += bytes;
      totals.latency.add(latency);
    }
  }
  return {
    operations: Array.from(operations, ([name, totals]) => ({ name, ...totals })),
    seconds,
    busy: seconds === 0 ? 0 : busySeconds / seconds,
    lost,
  };
}
