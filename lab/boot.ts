import { spawn } from 'node:child_process';
import { chownSync, closeSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { checkoutRoot } from './cache.js';
import type { GuestUser } from './guest-user.js';
import { LabError, requireCommand } from './host.js';
import { takeProcessor } from './processor.js';
import { makeRunFolder } from './run-folder.js';

/** All that a boot needs of the machine; see `findLab`. */
export interface Lab {
  /** The User-Mode Linux kernel, a program. */
  readonly kernel: string;
  readonly busybox: string;
  /** iproute2's `vdpa`; undefined where it is not to be had. */
  readonly reference: string | undefined;
  readonly user: GuestUser;
}

export interface Session {
  /** The program and its arguments; looked up on the guest's PATH. */
  readonly command: readonly string[];
  /** The command's working folder: an absolute path. */
  readonly cwd: string;
  /** More environment for the command. */
  readonly environment?: Readonly<Record<string, string>>;
  /** 'terminal': the command runs on this process's terminal. Otherwise what it reads; nothing by default. */
  readonly input?: 'terminal' | Uint8Array;
  readonly memoryMiB?: number;
  /** More words on the kernel's command line, such as `initcall_blacklist=vduse_init` for a kernel without VDUSE. */
  readonly kernelParameters?: readonly string[];
  /** The guest is killed after so long; undefined for no limit. */
  readonly timeLimitMs?: number | undefined;
}

/** Where a session's output goes, piece by piece, as it is written. On a terminal there is none to take. */
export interface Sinks {
  readonly stdout?: (bytes: Uint8Array) => void;
  readonly stderr?: (bytes: Uint8Array) => void;
  /** What the command writes to /run/lab/results. */
  readonly results?: (bytes: Uint8Array) => void;
}

export type Ending =
  /** The command's exit status, as a shell gives it. */
  | { readonly kind: 'exited'; readonly status: number }
  /** The kernel panicked or powered off before the command had ended; with the end of what it said. */
  | { readonly kind: 'died'; readonly console: string }
  | { readonly kind: 'timed out'; readonly afterMs: number; readonly console: string };

const DEFAULT_MEMORY_MIB = 2048;
const POLL_MS = 15;

/** Folders of the host that lab/init.sh and lab/fstab lay an empty one over. */
const HIDDEN_FOLDERS = ['/tmp', '/var/tmp', '/run', '/dev/shm'];

/** The variables that a command in the guest inherits. */
const INHERITED = /^(TERM|COLORTERM|LANG|LC_.*|TZ|NO_COLOR|FORCE_COLOR|CI|NODE_OPTIONS|VDPA_.*)$/;

/**
 * Boots a kernel, runs one command in it, and powers it off. The guest sees the host's files, read-only; /tmp, /run,
 * /var/tmp and /dev/shm are its own and empty. It never outlives this process, and leaves no file behind.
 *
 * @throws {LabError} when it cannot be started
 */
export async function boot(lab: Lab, session: Session, sinks: Sinks = {}): Promise<Ending> {
  const memoryMiB = session.memoryMiB ?? DEFAULT_MEMORY_MIB;
  const folder = makeRunFolder(memoryMiB, lab.user.id);
  const shared = new SharedFiles(folder, lab.user.id);
  const processor = takeProcessor();
  try {
    shared.write('session', sessionScript(lab, session));
    shared.write(
      'hidden',
      hiddenFolders(lab, session)
        .map((path) => `${path}\n`)
        .join(''),
    );
    shared.write('command', `cd ${quote(session.cwd)} || exit 125\nexec ${session.command.map(quote).join(' ')}\n`);
    shared.write('stdin', session.input instanceof Uint8Array ? session.input : '');
    shared.follow('stdout', sinks.stdout);
    shared.follow('stderr', sinks.stderr);
    shared.follow('results', sinks.results);
    let status = '';
    shared.follow('status', (bytes) => (status += Buffer.from(bytes).toString('latin1')));

    const guest = startGuest(lab, folder, memoryMiB, processor.number, session);
    const poll = setInterval(() => {
      shared.poll();
    }, POLL_MS);
    const timedOut = await guest.ended(session.timeLimitMs).finally(() => {
      clearInterval(poll);
    });
    shared.poll();
    const console = guest.console().slice(-3000).trimEnd();
    if (/^\d+\n$/.test(status)) return { kind: 'exited', status: Number(status) };
    return timedOut ? { kind: 'timed out', afterMs: session.timeLimitMs ?? 0, console } : { kind: 'died', console };
  } finally {
    processor.release();
    shared.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The files of the run folder, opened before the guest starts: what it does to their names later does not matter. */
class SharedFiles {
  private readonly folder: string;
  private readonly owner: number | undefined;
  private readonly followed: { readonly fd: number; readonly sink: (bytes: Uint8Array) => void; position: number }[] =
    [];
  private readonly buffer = Buffer.alloc(256 * 1024);

  constructor(folder: string, owner: number | undefined) {
    this.folder = folder;
    this.owner = owner;
  }

  write(name: string, content: string | Uint8Array): void {
    const path = join(this.folder, name);
    writeFileSync(path, content, { flag: 'wx', mode: 0o600 });
    if (this.owner !== undefined) chownSync(path, this.owner, this.owner);
  }

  follow(name: string, sink: ((bytes: Uint8Array) => void) | undefined): void {
    this.write(name, '');
    if (sink) this.followed.push({ fd: openSync(join(this.folder, name), 'r'), sink, position: 0 });
  }

  /** Hands on what has been written since the last time. */
  poll(): void {
    for (const file of this.followed) {
      for (;;) {
        const length = readSync(file.fd, this.buffer, 0, this.buffer.length, file.position);
        if (length === 0) break;
        file.position += length;
        file.sink(Uint8Array.prototype.slice.call(this.buffer, 0, length));
      }
    }
  }

  close(): void {
    for (const { fd } of this.followed) closeSync(fd);
  }
}

interface Guest {
  /** What the kernel said, its end. */
  console(): string;
  /** Settles when the guest and its keeper are gone; tells whether that took the time limit. */
  ended(timeLimitMs: number | undefined): Promise<boolean>;
}

function startGuest(lab: Lab, folder: string, memoryMiB: number, processor: number, session: Session): Guest {
  const terminal = session.input === 'terminal';
  const kernel = [
    lab.kernel,
    ...['rootfstype=hostfs', 'rootflags=/', 'ro', `mem=${memoryMiB}M`, 'seccomp=auto', `uml_dir=${folder}/uml`],
    ...['con0=fd:0,fd:1', 'con=null', 'quiet', 'oops=panic'],
    ...(session.kernelParameters ?? []).map(quoteForKernel),
    ...[`init=${quoteForKernel(join(checkoutRoot, 'lab/init.sh'))}`],
    ...[`LAB_RUN=${quoteForKernel(folder)}`, `LAB_BUSYBOX=${quoteForKernel(lab.busybox)}`],
  ];
  const setpriv = requireCommand('setpriv', 'util-linux');
  const prlimit = requireCommand('prlimit', 'util-linux');
  const taskset = requireCommand('taskset', 'util-linux');
  const limits = [prlimit, '--core=0', taskset, '-c', String(processor)];
  const guest = [setpriv, ...lab.user.setpriv, '--pdeathsig', 'KILL', ...limits, ...kernel];
  // On a terminal the kernel must lead the foreground process group: only so does it hear of a new window size.
  const started = terminal ? [setpriv, '--pdeathsig', 'KILL', 'sh', '-mc', '"$@"', 'sh', ...guest] : guest;
  const keeper = join(checkoutRoot, 'lab/keep.sh');
  const child = spawn(setpriv, ['--pdeathsig', 'TERM', 'sh', keeper, folder, ...started], {
    cwd: '/',
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', TMPDIR: folder, HOME: folder },
    stdio: terminal ? 'inherit' : ['ignore', 'pipe', 'pipe'],
    detached: !terminal,
  });
  let output = '';
  const take = (bytes: Buffer) => {
    output = (output + bytes.toString('latin1')).slice(-20_000);
  };
  child.stdout?.on('data', take);
  child.stderr?.on('data', take);
  const stop = () => {
    child.kill('SIGTERM');
  };
  process.on('exit', stop);
  return {
    console: () => output,
    ended: (timeLimitMs) =>
      new Promise((resolve, reject) => {
        let timedOut = false;
        const limit =
          timeLimitMs === undefined
            ? undefined
            : setTimeout(() => {
                timedOut = true;
                stop();
              }, timeLimitMs);
        const finish = () => {
          clearTimeout(limit);
          process.off('exit', stop);
        };
        child.on('error', (error) => {
          finish();
          reject(new LabError(`the guest cannot be started: ${error.message}`));
        });
        child.on('close', () => {
          finish();
          resolve(timedOut);
        });
      }),
  };
}

function sessionScript(lab: Lab, session: Session): string {
  const environment: Record<string, string> = {
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => INHERITED.test(name))),
    PATH: '/run/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/tmp/home',
    USER: 'root',
    LOGNAME: 'root',
    SHELL: '/bin/sh',
    LAB_CHECKOUT: checkoutRoot,
    ...session.environment,
  };
  const variables = {
    LAB_NODE: process.execPath,
    LAB_REFERENCE: lab.reference ?? '',
    LAB_TERMINAL: session.input === 'terminal' ? '1' : '',
  };
  return [
    ...Object.entries(variables).map(([name, value]) => `${name}=${quote(value)}\n`),
    ...Object.entries(environment).map(([name, value]) => `export ${name}=${quote(value)}\n`),
  ].join('');
}

/** The folders that the command needs and that are below one of the guest's own. */
function hiddenFolders(lab: Lab, session: Session): string[] {
  const needed = [checkoutRoot, session.cwd, ...[process.execPath, lab.reference ?? '/'].map((path) => dirname(path))];
  return [...new Set(needed)].filter((path) => HIDDEN_FOLDERS.some((hidden) => path.startsWith(`${hidden}/`)));
}

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** A value on the kernel's command line, which knows double quotes and no way to write one inside. */
function quoteForKernel(word: string): string {
  if (/["\n]/.test(word)) throw new LabError(`a double quote or a line break cannot be told to a kernel: ${word}`);
  return word.includes(' ') ? `"${word}"` : word;
}
