import { IoVector } from '../../../../src/sys/io-vector.js';
import { NativeBuffer } from '../../../../src/sys/memory.js';
import type { BlockBackend, Operation } from '../../../../src/vduse/block/backend.js';
import { carryOut } from '../../../support/block-operations.js';

/** An operation on a backend; its data is the memory between `from` and `from + length`, in pieces of `piece` bytes. */
export interface Transfer extends Partial<Pick<Operation, 'position' | 'length' | 'unmap'>> {
  readonly type: Operation['type'];
  readonly from?: number;
  readonly piece?: number;
}

/** Guest memory for tests of backends. */
export const memory = new NativeBuffer(4 * 2 ** 20);

/** Makes a backend carry out operations as one batch. @returns the error number of each */
export function execute(backend: BlockBackend, transfers: readonly Transfer[]): number[] {
  const vector = new IoVector(8192);
  const operations = transfers.map((transfer): Operation => {
    const { type, position = 0, length = 0, unmap = false, from, piece = length } = transfer;
    const first = vector.count;
    for (let at = 0; from !== undefined && at < length; at += piece) {
      vector.push(memory.address + from + at, Math.min(piece, length - at));
    }
    return { type, position, length, unmap, first, count: vector.count - first, error: -1 };
  });
  carryOut(backend, operations, vector);
  vector.free();
  return operations.map(({ error }) => error);
}
