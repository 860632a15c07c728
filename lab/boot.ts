import { existsSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { checkoutRoot } from './cache.js';
import type { GuestUser } from './guest-user.js';
import { startGuest, type Guest } from './guest.js';
import { LabError } from './host.js';
import type { Machine } from './machine/machine.js';
import { prepareMachine } from './machine/machine.js';
import type { Qemu } from './machine/qemu.js';
import { opensIoUring } from './node-versions.js';
import { makeRunFolder } from './run-folder.js';
import { SharedFiles } from './shared-files.js';

/** Everything that a boot needs from the host; see `findLab`. */
export interface Lab {
  readonly machine: Machine;
  readonly busybox: string;
  /** iproute2's `vdpa`; undefined if it is not available. */
  readonly reference: string | undefined;
  /** The library libblkio; undefined if it is not available. */
  readonly libblkio: string | undefined;
  readonly user: GuestUser;
}

export interface Session {
  /** The program and its arguments; looked up on the guest's PATH. */
  readonly command: readonly string[];
  /** The absolute path of the command's working folder. */
  readonly cwd: string;
  /** More environment for the command. */
  readonly environment?: Readonly<Record<string, string>>;
  /** 'terminal': the command runs on this process's terminal. Otherwise its standard input; empty by default. */
  readonly input?: 'terminal' | Uint8Array;
  readonly memoryMiB?: number;
  /** For the machines qemu and debian; 2 by default. User-Mode Linux has one. */
  readonly processors?: number;
  /** The Node that is `node` there; that of this process by default. */
  readonly node?: string;
  /** More kernel parameters, such as `initcall_blacklist=vduse_init` for a kernel without VDUSE. */
  readonly kernelParameters?: readonly string[];
  /** The guest is killed after this time; undefined for no limit. */
  readonly timeLimitMs?: number | undefined;
  /** An emulated machine whose kernel has not started its first program by then is booted once more; 3 minutes by default. */
  readonly startLimitMs?: number;
}

/** Where a session's output goes, piece by piece, as it is written. With a terminal there is none. */
export interface Sinks {
  readonly stdout?: (bytes: Uint8Array) => void;
  readonly stderr?: (bytes: Uint8Array) => void;
  /** What the command writes to /run/lab/results. */
  readonly results?: (bytes: Uint8Array) => void;
}

export type Ending =
  /** The command's exit status, as a shell gives it. */
  | { readonly kind: 'exited'; readonly status: number }
  /** The kernel panicked or powered off before the command ended; with its last messages. */
  | { readonly kind: 'died'; readonly console: string }
  | { readonly kind: 'timed out'; readonly afterMs: number; readonly console: string };

const DEFAULT_MEMORY_MIB = 2048;
const POLL_MS = 15;
const START_LIMIT_MS = 180_000;

/** Folders of the host over which lab/init.sh and lab/fstab mount an empty one. */
const HIDDEN_FOLDERS = ['/tmp', '/var/tmp', '/run', '/dev/shm'];

/** The variables that a command in the guest inherits. */
const INHERITED = /^(TERM|COLORTERM|LANG|LC_.*|TZ|NO_COLOR|FORCE_COLOR|CI|NODE_OPTIONS|VDPA_.*)$/;

/**
 * Boots a kernel, runs one command in it, and powers it off. The guest sees the host's files, read-only; /tmp, /run,
 * /var/tmp and /dev/shm are its own and empty. It never outlives this process, and leaves no files behind.
 *
 * @throws {LabError} when it cannot be started
 */
export async function boot(lab: Lab, session: Session, sinks: Sinks = {}): Promise<Ending> {
  const startLimitMs = lab.machine.kind === 'uml' ? undefined : (session.startLimitMs ?? START_LIMIT_MS);
  // Once in a thousand boots QEMU's guest sleeps forever while it reads its first program: it has run nothing yet.
  const ending = await bootOnce(lab, session, sinks, startLimitMs);
  return ending ?? (await bootOnce(lab, session, sinks)) ?? { kind: 'died', console: '' };
}

/** @returns undefined if it has not started its first program in time */
async function bootOnce(lab: Lab, session: Session, sinks: Sinks, startLimitMs?: number): Promise<Ending | undefined> {
  const memoryMiB = session.memoryMiB ?? DEFAULT_MEMORY_MIB;
  // The memory of User-Mode Linux is a file there.
  const folder = makeRunFolder(lab.machine.kind === 'uml' ? memoryMiB : 0, lab.user.id);
  const shared = new SharedFiles(folder, lab.user.id);
  const terminal = session.input === 'terminal';
  let release = (): void => undefined;
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

    const machine = await prepareMachine(lab.machine, {
      folder,
      memoryMiB,
      processors: session.processors,
      init: quoteForKernel(join(checkoutRoot, 'lab/init.sh')),
      kernelWords: kernelWords(lab, session, folder),
      write: shared.write.bind(shared),
    });
    ({ release } = machine);
    const guest = startGuest({ user: lab.user, folder, machine, terminal });
    const poll = setInterval(() => {
      shared.poll();
    }, POLL_MS);
    const start = limitStart(guest, folder, startLimitMs);
    const timedOut = await guest.ended(session.timeLimitMs).finally(() => {
      clearInterval(poll);
      clearTimeout(start.timer);
    });
    if (start.hasTimedOut) return undefined;
    shared.poll();
    const console = guest.console().slice(-3000).trimEnd();
    if (/^\d+\n$/.test(status)) return { kind: 'exited', status: Number(status) };
    return timedOut ? { kind: 'timed out', afterMs: session.timeLimitMs ?? 0, console } : { kind: 'died', console };
  } finally {
    release();
    shared.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface StartLimit {
  hasTimedOut: boolean;
  timer: NodeJS.Timeout | undefined;
}

/** Ends a guest whose lab/init.sh has not done the first thing that it does in a shared folder by then. */
function limitStart(guest: Guest, folder: string, limitMs: number | undefined): StartLimit {
  const limit: StartLimit = { hasTimedOut: false, timer: undefined };
  if (limitMs === undefined) return limit;
  limit.timer = setTimeout(() => {
    limit.hasTimedOut = !existsSync(join(folder, 'started'));
    if (limit.hasTimedOut) guest.stop();
  }, limitMs);
  return limit;
}

/** The parameters that lab/init.sh needs in its environment, and those of each machine. */
function kernelWords(lab: Lab, session: Session, folder: string): string[] {
  return [
    ...['ro', 'quiet', 'oops=panic'],
    ...(session.kernelParameters ?? []).map(quoteForKernel),
    `LAB_MACHINE=${lab.machine.kind}`,
    `LAB_RUN=${quoteForKernel(folder)}`,
    `LAB_BUSYBOX=${quoteForKernel(lab.busybox)}`,
  ];
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
    LAB_NODE: nodeOf(session),
    LAB_PROGRAM: programOf(),
    LAB_NODE_RING: lab.machine.kind === 'uml' && anyOpensRing(session) ? '1' : '',
    LAB_REFERENCE: lab.reference ?? '',
    LAB_LIBBLKIO: lab.libblkio ?? '',
    LAB_QEMU: qemuOf(lab)?.program.map(quote).join(' ') ?? '',
    LAB_TERMINAL: session.input === 'terminal' ? '1' : '',
  };
  return [
    ...Object.entries(variables).map(([name, value]) => `${name}=${quote(value)}\n`),
    ...Object.entries(environment).map(([name, value]) => `export ${name}=${quote(value)}\n`),
  ].join('');
}

const qemuOf = ({ machine }: Lab): Qemu | undefined => (machine.kind === 'uml' ? undefined : machine.qemu);

/** `vdpa` in the guest: this checkout's, or the one that VDPA_LAB_PROGRAM names. */
const programOf = (): string => resolve(process.env['VDPA_LAB_PROGRAM'] ?? join(checkoutRoot, 'bin/vdpa.js'));

/** Whether a Node in the guest opens an io_uring by itself; the one in an executable is new enough to do so. */
const anyOpensRing = (session: Session): boolean =>
  process.env['VDPA_LAB_PROGRAM'] !== undefined || opensIoUring(nodeOf(session));

const nodeOf = (session: Session): string => session.node ?? process.execPath;

/** The folders that the command needs and that one of the guest's own folders hides. */
function hiddenFolders(lab: Lab, session: Session): string[] {
  const programs = [nodeOf(session), programOf(), lab.reference ?? '/', lab.libblkio ?? '/'].map((path) =>
    dirname(path),
  );
  const needed = [checkoutRoot, session.cwd, qemuOf(lab)?.folder ?? '/', ...programs];
  return [...new Set(needed)].filter((path) => HIDDEN_FOLDERS.some((hidden) => path.startsWith(`${hidden}/`)));
}

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** Quotes a value for the kernel's command line, which has double quotes but no way to escape them. */
function quoteForKernel(word: string): string {
  if (/["\n]/.test(word)) throw new LabError(`kernel arguments must not contain double quotes or line breaks: ${word}`);
  return word.includes(' ') ? `"${word}"` : word;
}
