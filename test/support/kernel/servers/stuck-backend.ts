/** A disk whose reads from {@link STUCK_SECTOR} on block until something is written to a pipe. */
import { closeSync, constants, openSync } from 'node:fs';
import { read } from '../../../../src/sys/file.js';
import { NativeBuffer } from '../../../../src/sys/memory.js';
import { SECTOR_SIZE } from '../../../../src/virtio/block.js';
import { READ, type BlockBackend, type Operation } from '../../../../src/vduse/block/backend.js';

/** Partition scans do not read it. */
export const STUCK_SECTOR = 1000;

class StuckBackend implements BlockBackend {
  readonly #pipe: number;
  readonly #byte = new NativeBuffer(1);

  constructor(pipe: string) {
    this.#pipe = openSync(pipe, constants.O_RDWR);
  }

  execute(operations: readonly Operation[], count: number): void {
    for (const operation of operations.slice(0, count)) {
      if (operation.type === READ && operation.position === STUCK_SECTOR * SECTOR_SIZE)
        read(this.#pipe, this.#byte.address, 1);
      operation.error = 0;
    }
  }

  close(): void {
    closeSync(this.#pipe);
  }
}

export const createBlockBackend = (pipe: string): BlockBackend => new StuckBackend(pipe);
