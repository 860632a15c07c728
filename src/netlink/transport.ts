/**
 * The layer below a netlink socket, which sends and receives whole datagrams.
 *
 * Transports to the sockets of the machine implement it, and so does anything that answers like a kernel. Methods may
 * return a value or a promise; callers await both.
 */
export interface NetlinkTransport {
  /** The port id of the socket (`nl_pid`), which the kernel writes into every answer. */
  readonly port: number;

  /**
   * Sends one datagram to the kernel.
   * @throws NetlinkError if the socket rejects it.
   */
  send(datagram: Uint8Array): void | Promise<void>;

  /**
   * Returns the next whole datagram from the kernel. The caller may keep the bytes.
   * @param timeoutMs how long to wait for one, in milliseconds.
   * @throws NetlinkError `ETIMEDOUT` if none arrived in time; `ENOBUFS` if the kernel dropped some; `EMSGSIZE` if one
   * is longer than the buffer of the transport.
   */
  receive(timeoutMs: number): Uint8Array | Promise<Uint8Array>;

  /** Closes the socket. Calling it again does nothing. */
  close(): void | Promise<void>;
}

/** Options for opening a netlink socket. */
export interface TransportOptions {
  /** NETLINK_GENERIC, NETLINK_KOBJECT_UEVENT … */
  readonly protocol: number;
  /** Multicast groups to join, by number. */
  readonly groups?: readonly number[];
  /** Size of the receive buffer, in bytes; the kernel's default if absent. Useful for sockets that join groups. */
  readonly receiveBufferSize?: number;
  /**
   * The kernel treats the attributes of a dump request as a filter (NETLINK_GET_STRICT_CHK), if kernel and transport
   * support it.
   */
  readonly strictChecks?: boolean;
  /**
   * Waits for datagrams on another thread, so that this one can continue: for sockets that wait long. Answers to
   * requests arrive immediately; waiting for them on this thread is faster.
   */
  readonly waitBeside?: boolean;
}
