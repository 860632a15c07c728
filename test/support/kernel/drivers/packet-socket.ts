import '../lab/inside.js';
import assert from 'node:assert/strict';
import { readFileSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { checked, close } from '../../../../src/sys/libc.js';
import { bind, MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_RAW, socket } from '../../../../src/sys/socket.js';
import { recvfrom } from '../../recvfrom.js';

/** The type of the frames, one for experiments. */
const PROTOCOL = 0x88b5;
const AF_PACKET = 17;
/** struct sockaddr_ll: u16 family, u16 protocol, i32 interface, u16 hardware type, u8 kind of packet … */
const SOCKADDR_LL = 20;
const PACKET_OUTGOING = 4;

/** Frames on a network interface. */
export class PacketSocket {
  readonly #fd: number;

  constructor(netdev: string) {
    this.#fd = checked('open a packet socket', socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    const address = new Uint8Array(SOCKADDR_LL);
    const view = new DataView(address.buffer);
    view.setUint16(0, AF_PACKET, true);
    view.setUint16(2, PROTOCOL);
    view.setInt32(4, Number(readFileSync(`/sys/class/net/${netdev}/ifindex`, 'utf8')), true);
    checked('bind a packet socket', bind(this.#fd, address, SOCKADDR_LL));
  }

  send(frame: Uint8Array): void {
    assert.equal(writeSync(this.#fd, frame), frame.length);
  }

  /** The next frame that came in, or undefined where none does in time. */
  async receive(limitMs: number): Promise<Uint8Array | undefined> {
    const buffer = new Uint8Array(2048);
    const address = new Uint8Array(SOCKADDR_LL);
    for (const end = performance.now() + limitMs; performance.now() < end;) {
      const length = recvfrom(this.#fd, buffer, buffer.length, MSG_DONTWAIT, address, Uint32Array.of(SOCKADDR_LL));
      // What is sent is shown to a packet socket, too.
      if (length > 0 && address[10] !== PACKET_OUTGOING) return buffer.subarray(0, length);
      if (length < 0) await sleep(1);
    }
    return undefined;
  }

  close(): void {
    close(this.#fd);
  }
}
