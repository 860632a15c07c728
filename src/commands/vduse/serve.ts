import { closeSync, writeSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { VdpaCommand } from '../../cli/command.js';
import { UsageError } from '../../cli/error.js';
import { parseKeywords, type Keywords } from '../../cli/grammar.js';
import { describeError } from '../../cli/report.js';
import { deviceKeywords, readServedDevice, serverKeywords } from '../../cli/served-device.js';
import type { Session } from '../../cli/session.js';
import { readName } from '../../cli/values.js';
import { notifySystemd } from '../../sys/notify.js';
import { READY_VARIABLE, type Readiness } from '../../vduse/service/launch.js';
import { serveSupervised, serveUntilTold, type ServiceReports } from '../../vduse/service/serve.js';
import { SUPERVISED_VARIABLE, superviseUntilTold } from '../../vduse/service/supervisor.js';

const keywords = {
  name: { placeholder: 'NAME', read: readName, abbreviable: true, missing: 'device name is not set.' },
  ...deviceKeywords,
  ...serverKeywords,
} as const satisfies Keywords;

export default class VduseServe extends VdpaCommand {
  static override summary = 'serve a VDUSE device until it is told to end';
  static override usage = [
    'vdpa vduse serve name NAME [ type { block | net } ] [ queues N ] [ queue_size N ]',
    '                           [ backend { ram | file | null } ] [ path FILE ] [ size SIZE ]',
    '                           [ block_size { 512 | 4096 } ] [ readonly ] [ serial STRING ]',
    '                           [ backend { loopback | tap } ] [ ifname TAP ]',
    '                           [ mac MACADDR ] [ mtu MTU ]',
    '                           [ user USER ] [ restart { on | off } ]',
  ];
  static override keywords = keywords;

  async execute(session: Session, words: readonly string[]): Promise<void> {
    if (session.options.sim) {
      throw new UsageError(
        'The simulated machine runs no programs: "vdpa --sim dev add mgmtdev vduse name NAME …" makes a device that is served there',
      );
    }
    const launcher = new Launcher(session.io.env);
    const systemd = (state: string): void => {
      try {
        notifySystemd(session.io.env['NOTIFY_SOCKET'], state);
      } catch (error) {
        session.io.stderr(`${describeError(error).join('\n')}\n`);
      }
    };
    try {
      const values = parseKeywords(keywords, words);
      const { path } = values;
      const absolute = path === undefined || isAbsolute(path) ? values : { ...values, path: resolve(path) };
      const device = readServedDevice(values.name, absolute);
      const reports: ServiceReports = {
        ready: () => {
          launcher.tell({ ready: true });
          systemd(`READY=1\nSTATUS=Serving ${values.name}`);
        },
        ending: () => {
          systemd('STOPPING=1');
        },
        trouble: (text) => {
          session.io.stderr(`${values.name}: ${text}\n`);
          systemd(`STATUS=${text}`);
        },
      };
      const supervisor = Number(session.io.env[SUPERVISED_VARIABLE] ?? 0);
      const { user, restart = false } = device;
      if (supervisor > 0) {
        await serveSupervised(device, supervisor, reports);
      } else if (restart || user !== undefined) {
        await superviseUntilTold(device, reports);
      } else {
        await serveUntilTold(device, reports);
      }
    } catch (error) {
      launcher.tell({ failed: describeError(error) });
      throw error;
    }
  }
}

/** Whoever has started this server and waits to hear of it, where there is one. */
class Launcher {
  #fd: number | undefined;

  constructor(environment: NodeJS.ProcessEnv) {
    const text = environment[READY_VARIABLE];
    this.#fd = text === undefined || !/^[0-9]+$/.test(text) ? undefined : Number(text);
  }

  /** Only the first word counts. */
  tell(readiness: Readiness): void {
    if (this.#fd === undefined) return;
    try {
      writeSync(this.#fd, `${JSON.stringify(readiness)}\n`);
      closeSync(this.#fd);
    } catch {
      // It has not waited.
    }
    this.#fd = undefined;
  }
}
