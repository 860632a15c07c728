import { PacketSocket } from '../sys/packet-socket.js';
import { MAX_PACKET } from '../virtio/net.js';
import { EXPERIMENTAL } from './ether-type.js';

/** An interface of this machine to which a network device is connected. What the device sends is sent back to it. */
export class Peer {
  readonly #name: string;
  readonly #packets: PacketSocket;
  readonly #bytes = new Uint8Array(MAX_PACKET);

  /**
   * @param name of the interface
   * @throws SystemError if there is none of that name, or it is down
   */
  constructor(name: string) {
    this.#name = name;
    this.#packets = new PacketSocket(name, EXPERIMENTAL);
    try {
      // Only now the kernel says that it is down.
      this.discard();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Sends back the next frame. @returns whether one has arrived in time @throws SystemError */
  reflect(timeoutMs: number): boolean {
    const length = this.#packets.read(this.#bytes, timeoutMs);
    if (length === undefined) return false;
    this.#packets.write(this.#bytes.subarray(0, length));
    return true;
  }

  /** Drops what has arrived so far. @throws SystemError */
  discard(): void {
    while (this.#packets.read(this.#bytes, 0) !== undefined);
  }

  /**
   * Opens the frames with another EtherType, which are not sent back: the caller reads and writes them, and closes the
   * socket.
   * @throws SystemError
   */
  open(etherType: number): PacketSocket {
    return new PacketSocket(this.#name, etherType);
  }

  close(): void {
    this.#packets.close();
  }
}
