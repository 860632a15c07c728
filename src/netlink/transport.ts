/**
 * What a netlink socket needs of the thing below it: whole datagrams out and in.
 *
 * A transport to the machine's sockets implements it, and so does anything that answers like a kernel. Methods may answer
 * at once or with a promise; a caller awaits either.
 */
export interface NetlinkTransport {
  /** The socket's own port id (`nl_pid`), which the kernel writes into every answer. */
  readonly port: number;

  /**
   * Sends one datagram to the kernel.
   * @throws NetlinkError where the socket refuses it.
   */
  send(datagram: Uint8Array): void | Promise<void>;

  /**
   * Gives the next datagram from the kernel, whole. The bytes are the caller's to keep.
   * @param timeoutMs how long to wait for one, in milliseconds.
   * @throws NetlinkError `ETIMEDOUT` where none came in time; `ENOBUFS` where the kernel dropped some; `EMSGSIZE` where one was
   *   longer than the transport has room for.
   */
  receive(timeoutMs: number): Uint8Array | Promise<Uint8Array>;

  /** Gives the socket back. Calling it again does nothing. */
  close(): void | Promise<void>;
}

/** What a netlink socket is opened with. */
export interface TransportOptions {
  /** NETLINK_GENERIC, NETLINK_KOBJECT_UEVENT … */
  readonly protocol: number;
  /** Multicast groups to join, by number. */
  readonly groups?: readonly number[];
  /** Room for messages that wait to be received, in bytes. Worth setting where groups are joined; the kernel's default otherwise. */
  readonly receiveBufferSize?: number;
  /** The kernel takes what a dump asks for as a filter (NETLINK_GET_STRICT_CHK), where kernel and transport can. */
  readonly strictChecks?: boolean;
  /**
   * Waits for datagrams beside this thread, so that it goes on meanwhile: for sockets that wait long. Answers to requests
   * come at once and are waited for on the spot, which takes less time.
   */
  readonly waitBeside?: boolean;
}
