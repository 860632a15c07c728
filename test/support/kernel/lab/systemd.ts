import './inside.js';
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { cpSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { checkoutRoot } from '../../../../lab/cache.js';
import { start, until, type Ran } from '../servers/vduse.js';

/** Is mounted as its /etc. */
const ETC = '/run/systemd-etc';
export const SYSTEMD = '/lib/systemd/systemd';

/**
 * systemd itself, as the first process of its own PID namespace, with the units that contrib/systemd/install.mjs writes for a
 * program and a Node in a folder of that namespace.
 */
export class Systemd {
  readonly #unshare: ChildProcess;
  readonly #pid: number;

  /**
   * @param files for its /etc, by relative path
   * @param folder that contains only the program and Node
   */
  static async boot(files: Readonly<Record<string, string>>, folder: '/root' | '/opt'): Promise<Systemd> {
    for (const [name, text] of Object.entries({
      'machine-id': `${'0123456789abcdef'.repeat(2)}\n`,
      'systemd/system/lab.target': '[Unit]\nDescription=Lab\nDefaultDependencies=no\n',
      ...files,
    })) {
      mkdirSync(dirname(join(ETC, name)), { recursive: true });
      writeFileSync(join(ETC, name), text);
    }
    for (const name of ['passwd', 'group', 'nsswitch.conf', 'ld.so.cache']) cpSync(`/etc/${name}`, join(ETC, name));
    const script = [
      'mount --make-rprivate /',
      `mount --bind ${ETC} /etc`,
      // The new folder may hide the checkout or Node.
      'mkdir -p /run/checkout',
      'touch /run/node-program',
      `mount --bind ${checkoutRoot} /run/checkout`,
      `mount --bind ${realpathSync('/run/bin/node')} /run/node-program`,
      `mount -t tmpfs none ${folder}`,
      `mkdir ${folder}/vdpa`,
      `touch ${folder}/node`,
      `mount --move /run/checkout ${folder}/vdpa`,
      `mount --move /run/node-program ${folder}/node`,
      `${folder}/node ${folder}/vdpa/contrib/systemd/install.mjs /etc/systemd/system`,
      'mount -t proc proc /proc',
      'mount -t cgroup2 none /sys/fs/cgroup',
      `exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin ${SYSTEMD} --system --unit=lab.target --log-target=null --show-status=no`,
    ];
    const unshare = spawn('unshare', ['--pid', '--mount', '--fork', 'bash', '-euc', script.join('\n')], {
      stdio: 'ignore',
    });
    const pid = await until('systemd is process 1', async () => {
      const child = (await start('ps', '-o', 'pid=,comm=', '--ppid', String(unshare.pid))).stdout;
      return child.includes('systemd') && Number.parseInt(child, 10);
    });
    const systemd = new Systemd(unshare, pid);
    await until('it has started', async () => (await systemd.run('systemctl', 'is-active', 'lab.target')).status === 0);
    return systemd;
  }

  private constructor(unshare: ChildProcess, pid: number) {
    this.#unshare = unshare;
    this.#pid = pid;
  }

  /** Runs a program in its namespaces. */
  run(...argv: readonly string[]): Promise<Ran> {
    return start('nsenter', '-t', String(this.#pid), '-p', '-m', ...argv);
  }

  /** Runs a systemctl command that must succeed. Returns its output. */
  async ctl(...argv: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.run('systemctl', ...argv);
    const state = status === 0 ? '' : (await this.run('systemctl', '--no-pager', 'status', argv.at(-1) ?? '')).stdout;
    assert.equal(status, 0, `systemctl ${argv.join(' ')}: ${stderr}${state}`);
    return stdout.trimEnd();
  }

  /** A property of a unit. */
  property(unit: string, name: string): Promise<string> {
    return this.ctl('show', '--value', '-p', name, unit);
  }

  /** Stops it, and with it all other processes of its namespace. */
  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.#unshare.once('close', resolve));
    process.kill(this.#pid, 'SIGKILL');
    await ended;
  }
}
