import { JsonPrinter } from '../render/json.js';
import type { Output } from '../render/output.js';
import type { Paint } from '../render/paint.js';
import type { Printer } from '../render/printer.js';
import { TextPrinter } from '../render/text.js';
import { UsageError } from './error.js';
import type { Io } from './io.js';
import type { Options } from './options.js';
import { outputWidth, isUtf8Locale, supportsEscapes } from './terminal.js';

/** The printer that the options of a line select. @throws UsageError if they select two */
export async function choosePrinter(options: Options, io: Io, output: Output): Promise<Printer> {
  const { json, pretty, table } = options;
  if (json) {
    if (table) throw new UsageError('-j and --table are mutually exclusive');
    return new JsonPrinter(output, { pretty });
  }
  const paint = await choosePaint(options, io);
  if (!table) return new TextPrinter(output, paint);
  const [{ TablePrinter }, { plain }] = await Promise.all([import('../render/table.js'), import('../render/paint.js')]);
  return new TablePrinter(output, paint ?? plain, { width: outputWidth(io), utf8: isUtf8Locale(io.env) });
}

/**
 * Colors words; undefined for no colors. As with ip, colors are off by default. NO_COLOR (no-color.org) and a terminal
 * without escape sequences override everything but an explicit `-c=always`.
 */
export async function choosePaint({ color }: Options, { env, isTerminal }: Io): Promise<Paint | undefined> {
  if (color === 'never') return undefined;
  if (color !== 'forced' && ((env['NO_COLOR'] ?? '') !== '' || !supportsEscapes(env))) return undefined;
  if (color === 'auto' && isTerminal?.() !== true) return undefined;
  const { loadPaint } = await import('../render/paint.js');
  return loadPaint(env['COLORFGBG']);
}
