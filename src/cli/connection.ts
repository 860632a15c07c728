import { NETLINK_GENERIC } from '../netlink/constants.js';
import type { NetlinkTransport } from '../netlink/transport.js';
import type { Simulation } from '../sim/simulation.js';
import { VdpaClient } from '../vdpa/client.js';
import type { Io } from './io.js';
import { withFullStop } from './report.js';

/** The options that select the connection to the kernel. */
export interface ConnectionOptions {
  /** Use the simulated kernel, unless the environment provides another one. */
  readonly sim: boolean;
  /** Print every message to standard error. */
  readonly trace: boolean;
}

/**
 * The connection to the kernel, or to the simulated one: opened when first used, and shared by everything on a command
 * line.
 */
export class Connection {
  readonly #io: Io;
  readonly #options: ConnectionOptions;
  #client: Promise<VdpaClient> | undefined;
  #simulation: Promise<Simulation> | undefined;

  constructor(io: Io, options: ConnectionOptions) {
    this.#io = io;
    this.#options = options;
  }

  /** The kernel's vdpa family, looked up once; repeated after a failure. */
  async client(): Promise<VdpaClient> {
    this.#client ??= this.#open();
    try {
      return await this.#client;
    } catch (error) {
      this.#client = undefined;
      throw error;
    }
  }

  /** The simulated machine; one, so that its state is read once. @throws SimulationError */
  simulation(): Promise<Simulation> {
    this.#simulation ??= import('../sim/simulation.js').then(({ Simulation }) => new Simulation(this.#io.env));
    return this.#simulation;
  }

  /** Closes the socket, and completes the state of the simulated machine. */
  async close(): Promise<void> {
    const [client, simulation] = await Promise.all([this.#client, this.#simulation]);
    this.#client = undefined;
    this.#simulation = undefined;
    await client?.close();
    await simulation?.close();
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

  /** The transport; undefined for the machine's own kernel. */
  async #transport(): Promise<NetlinkTransport | undefined> {
    if (this.#io.openTransport !== undefined) return this.#io.openTransport();
    if (!this.#options.sim) return undefined;
    return (await this.simulation()).open();
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
