import '../lab/inside.js';
import assert from 'node:assert/strict';
import { readFileSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { checked, close, libc } from '../../../../src/sys/libc.js';
import {
  bind,
  MSG_DONTWAIT,
  SO_RCVBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_SOCKET,
  setSocketOption,
  socket,
} from '../../../../src/sys/socket.js';
import { recvfrom } from '../../recvfrom.js';

/** The EtherType of the frames, one for experiments. */
const PROTOCOL = 0x88b5;
const AF_PACKET = 17;
/** struct sockaddr_ll: u16 family, u16 protocol, i32 interface, u16 hardware type, u8 kind of packet … */
const SOCKADDR_LL = 20;
/** The size of the receive buffer in bytes, including the kernel's overhead. */
const ROOM = 8 << 20;
const SOL_PACKET = 263;
const PACKET_STATISTICS = 6;
const PACKET_IGNORE_OUTGOING = 23;

const getsockopt: (fd: number, level: number, option: number, value: Uint32Array, length: Uint32Array) => number =
  libc.func('int getsockopt(int fd, int level, int option, void *value, void *length)');

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
    // With its default buffer the socket drops frames, including those of others, while its program does not read.
    checked('set SO_RCVBUFFORCE', setSocketOption(this.#fd, SOL_SOCKET, SO_RCVBUFFORCE, ROOM));
    // Otherwise it also receives the frames that it sends.
    checked('set PACKET_IGNORE_OUTGOING', setSocketOption(this.#fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1));
  }

  /** The number of frames dropped since the last call because the buffer was full. */
  drops(): number {
    const statistics = new Uint32Array(2);
    const result = getsockopt(
      this.#fd,
      SOL_PACKET,
      PACKET_STATISTICS,
      statistics,
      Uint32Array.of(statistics.byteLength),
    );
    checked('get PACKET_STATISTICS', result);
    return statistics[1] ?? 0;
  }

  send(frame: Uint8Array): void {
    assert.equal(writeSync(this.#fd, frame), frame.length);
  }

  /** The next incoming frame, or undefined if none arrives in time. */
  async receive(limitMs: number): Promise<Uint8Array | undefined> {
    const buffer = new Uint8Array(2048);
    const address = new Uint8Array(SOCKADDR_LL);
    for (const end = performance.now() + limitMs; performance.now() < end;) {
      const length = recvfrom(this.#fd, buffer, buffer.length, MSG_DONTWAIT, address, Uint32Array.of(SOCKADDR_LL));
      if (length > 0) return buffer.subarray(0, length);
      if (length < 0) await sleep(1);
    }
    return undefined;
  }

  close(): void {
    close(this.#fd);
  }
}
