import { chownSync, closeSync, openSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The files of the run folder, opened before the guest starts, which may replace them later. */
export class SharedFiles {
  private readonly folder: string;
  private readonly owner: number | undefined;
  private readonly followed: { readonly fd: number; readonly sink: (bytes: Uint8Array) => void; position: number }[] =
    [];
  private readonly buffer = Buffer.alloc(256 * 1024);

  constructor(folder: string, owner: number | undefined) {
    this.folder = folder;
    this.owner = owner;
  }

  write(name: string, content: string | Uint8Array): void {
    const path = join(this.folder, name);
    writeFileSync(path, content, { flag: 'wx', mode: 0o600 });
    if (this.owner !== undefined) chownSync(path, this.owner, this.owner);
  }

  follow(name: string, sink: ((bytes: Uint8Array) => void) | undefined): void {
    this.write(name, '');
    if (sink) this.followed.push({ fd: openSync(join(this.folder, name), 'r'), sink, position: 0 });
  }

  /** Passes on what has been written since the last call. */
  poll(): void {
    for (const file of this.followed) {
      for (;;) {
        const length = readSync(file.fd, this.buffer, 0, this.buffer.length, file.position);
        if (length === 0) break;
        file.position += length;
        file.sink(Uint8Array.prototype.slice.call(this.buffer, 0, length));
      }
    }
  }

  close(): void {
    for (const { fd } of this.followed) closeSync(fd);
  }
}
