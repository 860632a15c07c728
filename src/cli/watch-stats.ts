import { JsonPrinter } from '../render/json.js';
import { Output } from '../render/output.js';
import { plain } from '../render/paint.js';
import { formatRates, renderRates } from '../render/rates.js';
import { watchStats as samplesOf } from '../vdpa/stats.js';
import { choosePaint } from './printers.js';
import type { Session } from './session.js';
import { isUtf8Locale, supportsEscapes } from './terminal.js';

/** Cursor to the first line, and clear everything below: ECMA-48, CUP and ED. */
const clearScreen = '\x1b[H\x1b[J';

/**
 * Shows statistics and their rates every second, until the process is stopped or a named device is deleted: on a
 * terminal in place, with bars and within its size; otherwise one after another, and in JSON one document per line.
 */
export async function watchStats(session: Session, name: string | undefined): Promise<void> {
  const { io, options } = session;
  const client = await session.client();
  const inPlace = !options.json && io.isTerminal?.() === true && supportsEscapes(io.env);
  const paint = (await choosePaint(options, io)) ?? plain;
  const output = new Output((text) => {
    io.stdout(text);
  });
  for await (const sample of samplesOf(client, name === undefined ? {} : { name })) {
    if (options.json) {
      const printer = new JsonPrinter(output, { pretty: options.pretty });
      renderRates(printer, sample);
      printer.finish();
    } else {
      const size = inPlace ? io.terminalSize?.() : undefined;
      const view = { bars: inPlace, utf8: isUtf8Locale(io.env), paint, size };
      io.stdout(`${inPlace ? clearScreen : ''}${formatRates(sample, view)}`);
    }
  }
}
