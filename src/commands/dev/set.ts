import { VdpaCommand } from '../../cli/command.js';
import { parseKeywords } from '../../cli/grammar.js';
import type { Session } from '../../cli/session.js';
import { readMac } from '../../cli/values.js';

const keywords = {
  name: { placeholder: 'NAME', read: (text: string) => text, abbreviable: true, missing: 'device name is not set.' },
  mac: { placeholder: 'MACADDR', read: readMac },
};

export default class DevSet extends VdpaCommand {
  static override summary = 'change a vdpa device';
  static override usage = ['vdpa dev set name NAME [ mac MACADDR ]'];

  async execute(session: Session, words: readonly string[]): Promise<void> {
    const { name, mac } = parseKeywords(keywords, words);
    const client = await session.client();
    await client.setDevice(name, mac ? { mac } : {});
  }
}
