import { setTimeout as sleep } from 'node:timers/promises';
import { JsonPrinter } from '../render/json.js';
import { Output } from '../render/output.js';
import { plain } from '../render/paint.js';
import { formatRates, renderRates } from '../render/rates.js';
import { monotonicMs } from '../sys/clock.js';
import { StatsWatch, eachDeviceStats, type DeviceStats } from '../vdpa/stats.js';
import { choosePaint } from './printers.js';
import type { Session } from './session.js';
import { isUtf8Locale, supportsEscapes } from './terminal.js';

const intervalMs = 1000;

/** Back to the first line, and nothing below: ECMA-48, CUP and ED. */
const clearScreen = '\x1b[H\x1b[J';

/**
 * Shows statistics and their rates every second, until the process is ended or a device that was named goes: on a terminal
 * in one place, with bars and within its size, elsewhere one after the other, in JSON a document a line.
 */
export async function watchStats(session: Session, name: string | undefined): Promise<never> {
  const { io, options } = session;
  const client = await session.client();
  const inPlace = !options.json && io.isTerminal?.() === true && supportsEscapes(io.env);
  const paint = (await choosePaint(options, io)) ?? plain;
  const output = new Output((text) => {
    io.stdout(text);
  });
  const watch = new StatsWatch();
  for (let next = monotonicMs(); ; next += intervalMs) {
    const devices: DeviceStats[] = [];
    for await (const device of eachDeviceStats(client, name)) devices.push(device);
    const sample = watch.compare(devices, monotonicMs());
    if (options.json) {
      const printer = new JsonPrinter(output, { pretty: options.pretty });
      renderRates(printer, sample);
      printer.finish();
    } else {
      const size = inPlace ? io.terminalSize?.() : undefined;
      const view = { bars: inPlace, utf8: isUtf8Locale(io.env), paint, size };
      io.stdout(`${inPlace ? clearScreen : ''}${formatRates(sample, view)}`);
    }
    await sleep(Math.max(next + intervalMs - monotonicMs(), 0));
  }
}
