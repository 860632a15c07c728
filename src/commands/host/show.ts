import { VdpaCommand } from '../../cli/command.js';
import { expectNoMore } from '../../cli/grammar.js';
import { controlNodes, machineBus } from '../../cli/machine.js';
import type { Session } from '../../cli/session.js';
import { reportHost } from '../../host/report.js';
import { renderHost } from '../../render/host.js';

export default class HostShow extends VdpaCommand {
  static override summary = 'show whether this machine is ready for vDPA, and what is missing';
  static override usage = ['vdpa host show'];

  async execute(session: Session, args: readonly string[]): Promise<void> {
    expectNoMore(args);
    const report = await reportHost(await machineBus(session), () => session.client(), await controlNodes(session));
    session.printer.openSection('host');
    renderHost(session.printer, report);
    session.printer.closeSection();
  }
}
