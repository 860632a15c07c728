/** A disk whose reads from {@link STUCK_SECTOR} on do not come back until something is written to a pipe. */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { SECTOR_SIZE } from '../../../../src/virtio/block.js';
import { ImmediateBackend, READ, type BlockBackend, type Operation } from '../../../../src/vduse/block/backend.js';

/** Partition scans do not read it. */
export const STUCK_SECTOR = 1000;

class StuckBackend extends ImmediateBackend {
  readonly #pipe: number;
  readonly #byte = new Uint8Array(1);

  constructor(pipe: string) {
    super();
    this.#pipe = openSync(pipe, constants.O_RDWR);
  }

  protected override execute({ type, position }: Operation): number {
    if (type === READ && position === STUCK_SECTOR * SECTOR_SIZE) readSync(this.#pipe, this.#byte);
    return 0;
  }

  override close(): void {
    closeSync(this.#pipe);
  }
}

export const createBlockBackend = (pipe: string): BlockBackend => new StuckBackend(pipe);
