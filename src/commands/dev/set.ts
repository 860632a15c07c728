import { VdpaCommand } from '../../cli/command.js';
import { parseKeywords, type Keywords } from '../../cli/grammar.js';
import type { Session } from '../../cli/session.js';
import { readMac, nameKeyword } from '../../cli/values.js';

const keywords = {
  name: { ...nameKeyword, completes: 'device' },
  mac: { placeholder: 'MACADDR', read: readMac },
} as const satisfies Keywords;

export default class DevSet extends VdpaCommand {
  static override summary = 'change the attributes of a vDPA device';
  static override usage = ['vdpa dev set name NAME [ mac MACADDR ]'];
  static override keywords = keywords;

  async execute(session: Session, args: readonly string[]): Promise<void> {
    const { name, mac } = parseKeywords(keywords, args);
    const client = await session.client();
    await client.setDevice(name, mac ? { mac } : {});
  }
}
