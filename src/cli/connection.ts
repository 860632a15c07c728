import type { NetlinkTransport } from '../netlink/transport.js';
import { VdpaClient } from '../vdpa/client.js';
import type { Io } from './io.js';
import { withFullStop } from './report.js';

/** The way to the kernel, or to the simulated one: opened when it is first asked for, and shared by all that a line does. */
export class Connection {
  readonly #io: Io;
  readonly #sim: boolean;
  #client: Promise<VdpaClient> | undefined;

  /** @param options sim: the simulated kernel, where `io` has none of its own */
  constructor(io: Io, { sim }: { readonly sim: boolean }) {
    this.#io = io;
    this.#sim = sim;
  }

  /**
   * The kernel's vdpa family, looked up once; where that failed it is tried anew.
   * @throws GenlFamilyNotFoundError, NetlinkUnavailableError, NetlinkError; SimulationError
   */
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
    const transport = await this.#transport();
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
    if (!this.#sim) return undefined;
    const { Simulation } = await import('../sim/simulation.js');
    return new Simulation(this.#io.env).open();
  }
}
