import { Errno } from '../../../sys/errno.js';
import { fillMemory } from '../../../sys/guarded-copy.js';
import type { IoVector } from '../../../sys/io-vector.js';
import { READ, type BlockBackend, type Operation } from '../backend.js';

/** A disk that discards writes and reads as zeros: the cost of the protocol alone. */
export class NullBackend implements BlockBackend {
  execute(operations: readonly Operation[], count: number, vector: IoVector): void {
    for (let index = 0; index < count; index++) {
      const operation = operations[index];
      if (!operation) return;
      operation.error = 0;
      if (operation.type !== READ) continue;
      for (let entry = operation.first; entry < operation.first + operation.count; entry++) {
        if (!fillMemory(vector.base(entry), 0, vector.length(entry))) operation.error = Errno.EFAULT;
      }
    }
  }

  close(): void {
    // There is nothing to close.
  }
}
