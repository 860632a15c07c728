import { VdpaCommand } from '../../cli/command.js';
import { UsageError } from '../../cli/error.js';
import { parseKeywords, type Keywords } from '../../cli/grammar.js';
import { usageOf } from '../../cli/help.js';
import type { Session } from '../../cli/session.js';
import { isAbsolute } from 'node:path';

const keywords = {
  program: {
    placeholder: 'FILE',
    read: (path: string) => {
      if (!isAbsolute(path)) throw new UsageError(`Invalid program "${path}": expected an absolute path`);
      return path;
    },
    completes: 'file',
    help: 'what the units of systemd start; by default this program',
  },
} as const satisfies Keywords;

export default class SelfExport extends VdpaCommand {
  static override summary = 'write man pages, completions, schemas and systemd units';
  static override usage = ['vdpa self export DIR [ program FILE ]'];
  static override operand = 'file' as const;
  static override keywords = keywords;

  async execute(session: Session, [folder, ...rest]: readonly string[]): Promise<void> {
    if (folder === undefined) throw new UsageError(...usageOf([SelfExport]));
    const { program } = parseKeywords(keywords, rest);
    const { exportFiles } = await import('../../cli/export-files.js');
    for (const path of exportFiles(folder, program)) session.io.stdout(`${path}\n`);
  }
}
