import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';

const FAILED = 1;

/**
 * Records a failed flush in a file for the next server of a device. The kernel reports the loss of data that it could
 * not write only once, to processes that had the file open: a server that opens it later would flush successfully.
 */
export class FlushRecord {
  /** Opens it for a data thread of the process that opened the file, as {@link forThread}. */
  readonly fd: number;

  /**
   * Opens the record, or creates it.
   * @param forget ignore its content, which belongs to a device that no longer exists
   * @throws as openSync
   */
  static open(path: string, forget: boolean): FlushRecord {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
    const note = new FlushRecord(openSync(path, flags, 0o600));
    // It has its single byte from the beginning, so that lack of space cannot prevent writing it.
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

  /** Records a failed flush. */
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
