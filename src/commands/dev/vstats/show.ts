import { VdpaCommand } from '../../../cli/command.js';
import { UsageError } from '../../../cli/error.js';
import { parseKeywords, type Keywords } from '../../../cli/grammar.js';
import { usageOf } from '../../../cli/help.js';
import type { Session } from '../../../cli/session.js';
import { readName, readNumber } from '../../../cli/values.js';
import { renderVendorStats } from '../../../render/stats.js';

const keywords = {
  qidx: { placeholder: 'QUEUE_INDEX', read: readNumber('qidx', 0, 0xffff_ffff) },
} as const satisfies Keywords;

export default class DevVstatsShow extends VdpaCommand {
  static override summary = 'show vendor statistics of a virtqueue';
  static override tables = true;
  static override usage = ['vdpa dev vstats show DEV [qidx QUEUE_INDEX]'];
  static override operand = 'device' as const;
  static override keywords = keywords;

  async execute(session: Session, args: readonly string[]): Promise<void> {
    const [device, ...rest] = args;
    if (device === undefined || (rest.length !== 0 && rest.length !== 2))
      throw new UsageError(...usageOf([DevVstatsShow]));
    const name = readName(device);
    const { qidx } = parseKeywords(keywords, rest);
    await session.show('vstats', async (client, printer) => {
      renderVendorStats(printer, await client.vendorStats(name, qidx));
    });
  }
}
