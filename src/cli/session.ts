import { JsonPrinter } from '../render/json.js';
import { Output } from '../render/output.js';
import type { Printer } from '../render/printer.js';
import { TextPrinter } from '../render/text.js';
import { VdpaClient } from '../vdpa/client.js';
import type { Io } from './io.js';
import type { Options } from './options.js';
import { withFullStop } from './report.js';

/** What a command works with: the options of its line, the printer they ask for, and the way to the kernel. */
export class Session {
  readonly options: Options;
  readonly io: Io;
  readonly printer: Printer;
  #client: Promise<VdpaClient> | undefined;

  constructor(options: Options, io: Io) {
    this.options = options;
    this.io = io;
    const output = new Output((text) => {
      io.stdout(text);
    });
    this.printer = options.json ? new JsonPrinter(output, { pretty: options.pretty }) : new TextPrinter(output);
  }

  /**
   * The kernel's vdpa family, looked up once.
   * @throws GenlFamilyNotFoundError, NetlinkUnavailableError, NetlinkError
   */
  client(): Promise<VdpaClient> {
    this.#client ??= this.#open();
    return this.#client;
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

  /** Ends the output and gives the socket back. @throws OutputError where the output cannot be written */
  async end(): Promise<void> {
    try {
      this.printer.finish();
    } finally {
      await this.close();
    }
  }

  /** Gives the socket back. */
  async close(): Promise<void> {
    const client = await this.#client?.catch(() => undefined);
    await client?.close();
  }

  #open(): Promise<VdpaClient> {
    const transport = this.io.openTransport?.();
    return VdpaClient.open({
      ...(transport && { transport }),
      onWarning: (message) => {
        this.io.stderr(`Warning: ${withFullStop(message)}\n`);
      },
    });
  }
}
