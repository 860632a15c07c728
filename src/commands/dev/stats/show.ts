import { VdpaCommand } from '../../../cli/command.js';
import { parseOperand } from '../../../cli/grammar.js';
import type { Session } from '../../../cli/session.js';
import { readName } from '../../../cli/values.js';
import { renderDeviceStats } from '../../../render/stats.js';
import { eachDeviceStats } from '../../../vdpa/stats.js';

export default class DevStatsShow extends VdpaCommand {
  static override summary = 'show vendor statistics of all virtqueues';
  static override tables = true;
  static override usage = ['vdpa dev stats show [ DEV ]'];
  static override operand = 'device' as const;
  static override outputs = ['openmetrics'] as const;
  static override watches = true;

  async execute(session: Session, args: readonly string[]): Promise<void> {
    const name = parseOperand(readName, args);
    if (session.options.output !== undefined) {
      await printMetrics(session, name);
      return;
    }
    if (session.options.watch) {
      const { watchStats } = await import('../../../cli/watch-stats.js');
      await watchStats(session, name);
      return;
    }
    await session.show('stats', async (client, printer) => {
      for await (const stats of eachDeviceStats(client, name)) renderDeviceStats(printer, stats);
    });
  }
}

async function printMetrics(session: Session, name: string | undefined): Promise<void> {
  const { formatMetrics } = await import('../../../render/metrics.js');
  const client = await session.client();
  const devices = name === undefined ? await client.devices() : [await client.device(name)];
  const stats = [];
  for await (const device of eachDeviceStats(client, name)) stats.push(device);
  session.io.stdout(formatMetrics(devices, stats));
}
