import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';

const FAILED = 1;

/**
 * A file that keeps for the next server of a device that a flush has failed. The kernel reports the loss of data that it
 * could not write once, to those who had the file open: a server that opens it later would flush, and hear that all is well.
 */
export class FlushRecord {
  /** For a data thread of the process that opened it, as {@link forThread}. */
  readonly fd: number;

  /**
   * Opens the note, or makes it.
   * @param forget what it says is of a device that is no more
   * @throws as openSync
   */
  static open(path: string, forget: boolean): FlushRecord {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
    const note = new FlushRecord(openSync(path, flags, 0o600));
    // It has its one byte from the beginning, so that no lack of space can keep it from being written.
    if (forget || note.#read() === undefined) note.#write(0);
    return note;
  }

  static forThread(fd: number): FlushRecord {
    return new FlushRecord(fd);
  }

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** Whether a flush has failed. */
  get failed(): boolean {
    return this.#read() === FAILED;
  }

  /** Keeps that a flush has failed. */
  record(): void {
    this.#write(FAILED);
  }

  close(): void {
    closeSync(this.fd);
  }

  #read(): number | undefined {
    const byte = new Uint8Array(1);
    return readSync(this.fd, byte, 0, 1, 0) === 1 ? byte[0] : undefined;
  }

  #write(value: number): void {
    writeSync(this.fd, Uint8Array.of(value), 0, 1, 0);
  }
}
