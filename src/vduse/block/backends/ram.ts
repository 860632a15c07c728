import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, fallocate } from '../../../sys/file.js';
import { Errno } from '../../../sys/errno.js';
import { copyMemory } from '../../../sys/guarded-copy.js';
import type { IoVector } from '../../../sys/io-vector.js';
import { lastErrno } from '../../../sys/libc.js';
import { MAP_NORESERVE, MAP_SHARED, mapFile, PROT_READ, PROT_WRITE, unmap } from '../../../sys/memory.js';
import { DISCARD, FLUSH, ImmediateBackend, READ, WRITE, WRITE_ZEROES, type Operation } from '../backend.js';

/** A disk in memory. It is a memory file, so that all threads share it and discarded ranges take no memory. */
export class RamBackend extends ImmediateBackend {
  readonly #fd: number;
  readonly #size: number;
  readonly #address: number;

  /** @param fd a memory file of `size` bytes, sealed against shrinking */
  constructor(fd: number, size: number) {
    super();
    this.#fd = fd;
    this.#size = size;
    this.#address = mapFile('map the disk', fd, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, 0);
  }

  protected override execute(operation: Operation, vector: IoVector): number {
    let at = this.#address + operation.position;
    const end = operation.first + operation.count;
    switch (operation.type) {
      case READ:
        for (let entry = operation.first; entry < end; entry++) {
          if (!copyMemory(vector.base(entry), at, vector.length(entry))) return Errno.EFAULT;
          at += vector.length(entry);
        }
        return 0;
      case WRITE:
        for (let entry = operation.first; entry < end; entry++) {
          if (!copyMemory(at, vector.base(entry), vector.length(entry))) return Errno.EFAULT;
          at += vector.length(entry);
        }
        return 0;
      case FLUSH:
        return 0;
      case DISCARD:
      case WRITE_ZEROES: {
        const mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
        return fallocate(this.#fd, mode, operation.position, operation.length) === 0 ? 0 : lastErrno();
      }
    }
  }

  override close(): void {
    unmap('unmap the disk', this.#address, this.#size);
  }
}
