import { Errno } from '../../../sys/errno.js';
import { fillMemory } from '../../../sys/guarded-copy.js';
import type { IoVector } from '../../../sys/io-vector.js';
import { ImmediateBackend, READ, type Operation } from '../backend.js';

/** A disk that discards writes and reads as zeros: the cost of the protocol alone. */
export class NullBackend extends ImmediateBackend {
  protected override execute({ type, first, count }: Operation, vector: IoVector): number {
    if (type !== READ) return 0;
    for (let entry = first; entry < first + count; entry++) {
      if (!fillMemory(vector.base(entry), 0, vector.length(entry))) return Errno.EFAULT;
    }
    return 0;
  }

  override close(): void {
    // There is nothing to close.
  }
}
