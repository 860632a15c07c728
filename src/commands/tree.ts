import { VdpaCommand } from '../cli/command.js';
import { expectNoMore } from '../cli/grammar.js';
import { machineBus } from '../cli/machine.js';
import { choosePaint } from '../cli/printers.js';
import { outputOf, type Session } from '../cli/session.js';
import { isUtf8Locale } from '../cli/terminal.js';
import { readTree, type TreeNode } from '../host/tree.js';
import { JsonPrinter } from '../render/json.js';
import { plain } from '../render/paint.js';
import type { Printer } from '../render/printer.js';
import { drawTree, formatDot, formatMermaid, renderTree } from '../render/tree.js';

export default class Tree extends VdpaCommand {
  static override summary = 'show management devices, their devices and what uses them';
  static override usage = ['vdpa [ -o { json | mermaid | dot } ] tree'];
  static override outputs = ['json', 'mermaid', 'dot'] as const;

  async execute(session: Session, args: readonly string[]): Promise<void> {
    expectNoMore(args);
    const { json, pretty, output } = session.options;
    const roots = await readTree(await session.client(), await machineBus(session));
    switch (output) {
      case 'json': {
        const printer = new JsonPrinter(outputOf(session.io), { pretty });
        printTree(printer, roots);
        printer.finish();
        break;
      }
      case 'mermaid':
        session.io.stdout(formatMermaid(roots));
        break;
      case 'dot':
        session.io.stdout(formatDot(roots));
        break;
      default:
        if (json) printTree(session.printer, roots);
        else
          session.io.stdout(
            drawTree(roots, (await choosePaint(session.options, session.io)) ?? plain, isUtf8Locale(session.io.env)),
          );
    }
  }
}

function printTree(printer: Printer, roots: readonly TreeNode[]): void {
  printer.openRow();
  renderTree(printer, roots);
  printer.closeRow();
}
