import type { IoVector } from '../../src/sys/io-vector.js';
import { ImmediateBackend, type BlockBackend, type Operation } from '../../src/vduse/block/backend.js';

/** Lets a backend carry out operations as one batch, and waits until all are done. @returns in the order in which they were */
export function carryOut(backend: BlockBackend, operations: readonly Operation[], vector: IoVector): Operation[] {
  const done: Operation[] = [];
  for (const operation of operations) backend.submit(operation, vector);
  while (done.length < operations.length) {
    backend.reap((operation) => void done.push(operation));
    if (backend.transfers === undefined) break;
  }
  return done;
}

/** A backend made of a function. */
export class FunctionBackend extends ImmediateBackend {
  readonly #function: (operation: Operation) => number;
  readonly #closed: () => void;
  readonly resize: (size: number) => void;

  constructor(parts: {
    readonly execute: (operation: Operation) => number;
    readonly resize?: (size: number) => void;
    readonly close?: () => void;
  }) {
    super();
    this.#function = parts.execute;
    this.#closed = parts.close ?? ((): void => undefined);
    this.resize = parts.resize ?? ((): void => undefined);
  }

  protected override execute(operation: Operation): number {
    return this.#function(operation);
  }

  override close(): void {
    this.#closed();
  }
}
