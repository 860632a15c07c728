import { closeSync, writeSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { VdpaCommand } from '../../cli/command.js';
import { ReportedError, UsageError } from '../../cli/error.js';
import { parseKeywords, type Keywords } from '../../cli/grammar.js';
import { wrapUsage } from '../../cli/help.js';
import { describeError } from '../../cli/report.js';
import { commonDeviceKeywords, readDeviceSpec, servedUsage, serverKeywords } from '../../cli/device-keywords.js';
import type { Session } from '../../cli/session.js';
import { ServiceOutput } from '../../cli/service-output.js';
import { nameKeyword } from '../../cli/values.js';
import { notifySystemd } from '../../sys/notify.js';
import { READY_VARIABLE, type Readiness } from '../../vduse/daemon/launch.js';
import { runSupervisedServer, runServer, type ServiceEvents } from '../../vduse/daemon/serve.js';
import { SUPERVISED_VARIABLE, runSupervisor } from '../../vduse/daemon/supervisor.js';

const keywords = {
  name: { ...nameKeyword, help: 'Name of the device' },
  ...commonDeviceKeywords,
  ...serverKeywords,
  force: { read: () => true as const, help: 'Take over an instance with other options than it was created with' },
} as const satisfies Keywords;

export default class VduseServe extends VdpaCommand {
  static override summary = 'serve a VDUSE device in the foreground';
  static override usage = wrapUsage('vdpa vduse serve name NAME', [
    '[ type { block | net } ]',
    ...servedUsage(),
    '[ force ]',
  ]);
  static override keywords = keywords;

  async execute(session: Session, args: readonly string[]): Promise<void> {
    if (session.options.sim) {
      throw new UsageError(
        'Not supported by the simulated machine, which has no data to serve: use "dev add mgmtdev vduse name NAME serve"',
      );
    }
    const { env } = session.io;
    const launcher = new Launcher(env);
    const supervisor = Number(env[SUPERVISED_VARIABLE] ?? 0);
    const output = new ServiceOutput((error) => {
      launcher.report({ failed: describeError(error) });
    });
    try {
      const values = parseKeywords(keywords, args);
      const { path } = values;
      const absolute = path === undefined || isAbsolute(path) ? values : { ...values, path: resolve(path) };
      const device = readDeviceSpec(values.name, absolute);
      output.begin();
      const systemd = (state: string): void => {
        try {
          notifySystemd(env['NOTIFY_SOCKET'], state);
        } catch (error) {
          output.warn(describeError(error).join('\n'));
        }
      };
      const events: ServiceEvents = {
        ready: () => {
          const isLaunched = launcher.report({ ready: true });
          systemd(`READY=1\nSTATUS=Serving ${values.name}`);
          // A supervisor continues to read the output of its server; a launcher that attaches its device does not.
          output.startService({ detached: isLaunched && supervisor === 0 });
        },
        ending: () => {
          systemd('STOPPING=1');
        },
        warning: (text) => {
          output.warn(`${values.name}: ${text}`);
          systemd(`STATUS=${text}`);
        },
        log: (line) => {
          output.warn(line);
        },
      };
      const options = { force: values.force === true };
      const { user, restart = false } = device;
      if (supervisor > 0) {
        await runSupervisedServer(device, supervisor, events, options);
      } else if (restart || user !== undefined) {
        await runSupervisor(device, events, options);
      } else {
        await runServer(device, events, options);
      }
    } catch (error) {
      const lines = describeError(error);
      launcher.report({ failed: lines });
      if (!output.isServing) throw error;
      output.fail(lines);
      throw new ReportedError(lines.join('\n'), { cause: error });
    }
  }
}

/** The process that started this server and waits for its report, if any. */
class Launcher {
  #fd: number | undefined;

  constructor(environment: NodeJS.ProcessEnv) {
    const text = environment[READY_VARIABLE];
    this.#fd = text === undefined || !/^[0-9]+$/.test(text) ? undefined : Number(text);
  }

  /** Only the first report counts. @returns whether there is a launcher and it was notified */
  report(readiness: Readiness): boolean {
    if (this.#fd === undefined) return false;
    try {
      writeSync(this.#fd, `${JSON.stringify(readiness)}\n`);
      closeSync(this.#fd);
    } catch {
      // The launcher is gone.
    }
    this.#fd = undefined;
    return true;
  }
}
