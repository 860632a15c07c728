import { NETLINK_GENERIC } from '../netlink/constants.js';
import type { NetlinkTransport } from '../netlink/transport.js';
import { VdpaClient } from '../vdpa/client.js';
import type { Io } from './io.js';
import { withFullStop } from './report.js';

/** What the options of a line say of the way to the kernel. */
export interface ConnectionOptions {
  /** The simulated kernel, where the surroundings have none of their own. */
  readonly sim: boolean;
  /** Every message is printed to standard error. */
  readonly trace: boolean;
}

/** The way to the kernel, or to the simulated one: opened when it is first asked for, and shared by all that a line does. */
export class Connection {
  readonly #io: Io;
  readonly #options: ConnectionOptions;
  #client: Promise<VdpaClient> | undefined;

  constructor(io: Io, options: ConnectionOptions) {
    this.#io = io;
    this.#options = options;
  }

  /** The kernel's vdpa family, looked up once; after a failure the look-up is repeated. */
  async client(): Promise<VdpaClient> {
    this.#client ??= this.#open();
    try {
      return await this.#client;
    } catch (error) {
      this.#client = undefined;
      throw error;
    }
  }

  /** Gives the socket back. */
  async close(): Promise<void> {
    const client = await this.#client;
    this.#client = undefined;
    await client?.close();
  }

  async #open(): Promise<VdpaClient> {
    const transport = this.#options.trace ? await this.#tracedTransport() : await this.#transport();
    return VdpaClient.open({
      ...(transport && { transport }),
      onWarning: (message) => {
        this.#io.stderr(`Warning: ${withFullStop(message)}\n`);
      },
    });
  }

  /** What to speak through; undefined for the machine's own kernel. */
  async #transport(): Promise<NetlinkTransport | undefined> {
    if (this.#io.openTransport !== undefined) return this.#io.openTransport();
    if (!this.#options.sim) return undefined;
    const { Simulation } = await import('../sim/simulation.js');
    return new Simulation(this.#io.env).open();
  }

  async #tracedTransport(): Promise<NetlinkTransport> {
    const [{ traceTransport }, { vdpaNames }, { openTransport }] = await Promise.all([
      import('../netlink/trace.js'),
      import('../vdpa/names.js'),
      import('../netlink/transports/index.js'),
    ]);
    const transport = (await this.#transport()) ?? (await openTransport({ protocol: NETLINK_GENERIC }));
    return traceTransport(transport, {
      onLine: (line) => {
        this.#io.stderr(`${line}\n`);
      },
      names: { vdpa: vdpaNames },
    });
  }
}
