import { JsonPrinter } from '../render/json.js';
import { Output } from '../render/output.js';
import type { Printer } from '../render/printer.js';
import { TextPrinter } from '../render/text.js';
import type { VdpaClient } from '../vdpa/client.js';
import { Connection } from './connection.js';
import type { Io } from './io.js';
import type { Options } from './options.js';

/** What a command works with: the options of its line, the printer they ask for, and the way to the kernel. */
export class Session {
  readonly options: Options;
  readonly io: Io;
  readonly printer: Printer;
  readonly #connection: Connection;

  /** @param connection the way to the kernel; the session's own where it is not given */
  constructor(options: Options, io: Io, connection: Connection = new Connection(io, options)) {
    this.options = options;
    this.io = io;
    this.#connection = connection;
    const output = new Output((text) => {
      io.stdout(text);
    });
    this.printer = options.json ? new JsonPrinter(output, { pretty: options.pretty }) : new TextPrinter(output);
  }

  /** See {@link Connection.client}. */
  client(): Promise<VdpaClient> {
    return this.#connection.client();
  }

  /**
   * Prints a section that `fill` fills with what the kernel answers.
   * @param fill may have to begin anew: `restart` takes back what it has printed so far
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

  /** Ends the output. @throws OutputError where it cannot be written */
  end(): void {
    this.printer.finish();
  }

  /** Gives the socket back. */
  close(): Promise<void> {
    return this.#connection.close();
  }
}
