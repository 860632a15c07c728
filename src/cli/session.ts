import { Output } from '../render/output.js';
import type { Printer } from '../render/printer.js';
import { TextPrinter } from '../render/text.js';
import type { Simulation } from '../sim/simulation.js';
import type { VdpaClient } from '../vdpa/client.js';
import { Connection } from './connection.js';
import type { Io } from './io.js';
import type { Options } from './options.js';

/** Text for standard output. */
export function outputOf(io: Io): Output {
  return new Output((text) => {
    io.stdout(text);
  });
}

/** The context of a command: the options of its line, the printer they select, and the connection to the kernel. */
export class Session {
  readonly options: Options;
  readonly io: Io;
  readonly printer: Printer;
  readonly #connection: Connection;

  /**
   * @param connection the connection to the kernel; by default a new one
   * @param printer text by default
   */
  constructor(
    options: Options,
    io: Io,
    connection: Connection = new Connection(io, options),
    printer: Printer = new TextPrinter(outputOf(io)),
  ) {
    this.options = options;
    this.io = io;
    this.#connection = connection;
    this.printer = printer;
  }

  /** See {@link Connection.client}. */
  client(): Promise<VdpaClient> {
    return this.#connection.client();
  }

  /** See {@link Connection.simulation}. */
  simulation(): Promise<Simulation> {
    return this.#connection.simulation();
  }

  /**
   * Prints a section that `fill` fills with the answers of the kernel.
   * @param fill may have to start over: `restart` discards what it has printed so far
   */
  async show(
    section: string,
    fill: (client: VdpaClient, printer: Printer, restart: () => void) => Promise<void>,
  ): Promise<void> {
    const client = await this.client();
    this.printer.openSection(section);
    await fill(client, this.printer, this.printer.checkpoint());
    this.printer.closeSection();
  }

  /** Ends the output. @throws OutputError if it cannot be written */
  end(): void {
    this.printer.finish();
  }

  /** Closes the socket. */
  close(): Promise<void> {
    return this.#connection.close();
  }
}
