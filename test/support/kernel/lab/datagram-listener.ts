import { rmSync } from 'node:fs';
import { checked, close } from '../../../../src/sys/libc.js';
import { bind, MSG_DONTWAIT, socket } from '../../../../src/sys/socket.js';
import { recvfrom } from '../../recvfrom.js';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;

/** Listens on a Unix socket, as systemd does for services and journald for the system log. */
export class DatagramListener {
  readonly #fd: number;
  readonly #path: string;

  /** @param path of a file, or a name in the abstract namespace if it begins with NUL */
  constructor(path: string) {
    this.#path = path;
    this.#fd = checked('open a socket', socket(AF_UNIX, SOCK_DGRAM, 0));
    const address = Buffer.concat([Uint8Array.of(AF_UNIX, 0), Buffer.from(path)]);
    checked('bind it', bind(this.#fd, address, address.length));
  }

  /** The datagrams that have arrived since the last call. */
  received(): string[] {
    const datagrams: string[] = [];
    const buffer = new Uint8Array(8192);
    for (;;) {
      const length = recvfrom(this.#fd, buffer, buffer.length, MSG_DONTWAIT, new Uint8Array(2), Uint32Array.of(2));
      if (length < 0) return datagrams;
      datagrams.push(Buffer.from(buffer.subarray(0, length)).toString());
    }
  }

  close(): void {
    close(this.#fd);
    if (!this.#path.startsWith('\0')) rmSync(this.#path);
  }
}
