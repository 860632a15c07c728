import { NetlinkError } from './error.js';
import { MessageDescriber } from './message-describer.js';
import type { FamilyNames } from './schema.js';
import type { NetlinkTransport } from './transport.js';

/** Options of a trace. */
export interface TraceOptions {
  /** Called with each line of text, without its line break. */
  readonly onLine: (line: string) => void;
  /** The names of messages, by family name. */
  readonly names?: Readonly<Record<string, FamilyNames>>;
}

/**
 * A transport that prints every datagram that it transfers: `->` before requests, `<-` before answers.
 *
 * Command line: `vdpa --trace`.
 * @param transport the transport to trace
 */
export function traceTransport(transport: NetlinkTransport, { onLine, names }: TraceOptions): NetlinkTransport {
  const describer = new MessageDescriber(names);
  const tell = (direction: '->' | '<-', datagram: Uint8Array): void => {
    for (const line of describer.describe(datagram))
      onLine(line.startsWith(' ') ? `   ${line}` : `${direction} ${line}`);
  };
  const received = (datagram: Uint8Array): Uint8Array => {
    tell('<-', datagram);
    return datagram;
  };
  const failed = (error: unknown): never => {
    if (error instanceof NetlinkError) onLine(`<- nothing: ${error.message}`);
    throw error;
  };
  return {
    port: transport.port,
    send: (datagram) => {
      tell('->', datagram);
      return transport.send(datagram);
    },
    receive: (timeoutMs) => {
      try {
        const result = transport.receive(timeoutMs);
        return result instanceof Promise ? result.then(received, failed) : received(result);
      } catch (error) {
        return failed(error);
      }
    },
    close: () => transport.close(),
  };
}
