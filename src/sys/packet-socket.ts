/** Packet sockets: the frames of a network interface. packet(7); constants from linux/if_packet.h and linux/socket.h */
import { readSync, writeSync } from 'node:fs';
import { Errno, nodeErrno } from './errno.js';
import { SystemError } from './error.js';
import { checked, close } from './libc.js';
import { interfaceIndex } from './network-interface.js';
import { poll, POLLIN } from './poll.js';
import { bind, setSocketBytes, setSocketOption, socket, SOCK_CLOEXEC, SOCK_RAW } from './socket.js';

const AF_PACKET = 17;
const SOL_PACKET = 263;
const PACKET_ADD_MEMBERSHIP = 1;
const PACKET_VNET_HDR = 15;
const PACKET_MR_PROMISC = 1;
/** Of struct sockaddr_ll and struct packet_mreq, in bytes. */
const ADDRESS_LENGTH = 20;
const MEMBERSHIP_LENGTH = 16;
const SOCK_NONBLOCK = 0o4000;

/** The frames with one EtherType that arrive at an interface, whoever they are for, and those that it sends. */
export class PacketSocket {
  readonly #fd: number;
  readonly #operation: string;

  /** @throws SystemError: ENODEV if the interface does not exist, EPERM without CAP_NET_RAW */
  constructor(name: string, etherType: number) {
    const operation = `open the packets of ${name}`;
    const index = interfaceIndex(name);
    if (index === undefined) throw new SystemError({ operation, errno: Errno.ENODEV });
    this.#operation = `packets of ${name}`;
    this.#fd = checked(operation, socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    try {
      checked(operation, setSocketOption(this.#fd, SOL_PACKET, PACKET_VNET_HDR, 1));
      const membership = new Uint8Array(MEMBERSHIP_LENGTH);
      const member = new DataView(membership.buffer);
      member.setInt32(0, index, true);
      member.setUint16(4, PACKET_MR_PROMISC, true);
      checked(operation, setSocketBytes(this.#fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership));
      const address = new Uint8Array(ADDRESS_LENGTH);
      const view = new DataView(address.buffer);
      view.setUint16(0, AF_PACKET, true);
      view.setUint16(2, etherType);
      view.setInt32(4, index, true);
      checked(operation, bind(this.#fd, address, address.length));
    } catch (error) {
      close(this.#fd);
      throw error;
    }
  }

  /**
   * Reads the next frame after its struct virtio_net_hdr of 10 bytes, as {@link write} takes it.
   * @returns its length with that, at most that of `bytes`; undefined if none arrives in time
   * @throws SystemError: ENETDOWN if the interface is down
   */
  read(bytes: Uint8Array, timeoutMs: number): number | undefined {
    if (poll(this.#fd, POLLIN, timeoutMs) !== 1) return undefined;
    try {
      return readSync(this.#fd, bytes);
    } catch (error) {
      if (nodeErrno(error) === Errno.EAGAIN) return undefined;
      throw this.#failure('receive', error);
    }
  }

  /** Sends a frame after its struct virtio_net_hdr. @throws SystemError */
  write(bytes: Uint8Array): void {
    try {
      writeSync(this.#fd, bytes);
    } catch (error) {
      throw this.#failure('send', error);
    }
  }

  #failure(what: string, error: unknown): unknown {
    const errno = nodeErrno(error);
    return errno === undefined ? error : new SystemError({ operation: `${what} ${this.#operation}`, errno });
  }

  close(): void {
    close(this.#fd);
  }
}
