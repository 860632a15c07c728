/** The part of node-netlink 0.0.4 that is used here. The package has no types. */
declare module 'node-netlink' {
  /** `struct nlmsghdr` without its length. */
  interface Header {
    readonly nlmsg_type: bigint;
    readonly nlmsg_flags: bigint;
    readonly nlmsg_seq: bigint;
    readonly nlmsg_pid: bigint;
  }

  interface Packet {
    readonly header: Header;
    readonly payload: Buffer<ArrayBuffer>;
  }

  interface Socket {
    readonly nl_pid: bigint;
    /**
     * Sends a request, which must have NLM_F_ACK, and resolves when it is answered. The package numbers requests
     * itself: 1, 2 …
     */
    tryTalk(
      request: { header: Pick<Header, 'nlmsg_type' | 'nlmsg_flags'>; payload: Uint8Array },
      options?: { timeout?: number },
    ): Promise<unknown>;
    /** Calls back for every message that arrives, including control messages. */
    on(event: 'message', listener: (packet: Packet) => void): void;
    close(): Promise<void>;
  }

  interface NodeNetlink {
    open(options: { family: number }): Promise<Socket>;
  }

  const nodeNetlink: NodeNetlink;
  export type { NodeNetlink, Packet, Socket };
  export default nodeNetlink;
}
