import { spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { isatty } from 'node:tty';
import type { Ending, Lab, Session } from './boot.js';
import { boot } from './boot.js';
import { checkoutRoot } from './cache.js';
import { LabError, findCommand } from './host.js';
import { say } from './progress.js';
import type { MachineKind } from './machine/machine.js';
import { chosenMachine, prepareLab } from './setup.js';

const HELP = `Usage: npm run lab -- [OPTION…] [COMMAND [ARGUMENT…]]

Runs a command in the lab: a real Linux kernel with vDPA, which sees this machine's files and cannot change them.
A single word is a command line for sh. Without a command: a shell, which ends with "exit" or ^D.
There, vdpa is this checkout's, and vdpa-iproute2 is iproute2's; VDPA_VDUSE_SERVE=1 is set, so that
"vdpa dev add mgmtdev vduse name NAME" starts a server.

  -i, --stdin        pass standard input on to the command (read to its end first)
      --machine NAME what it runs on: uml, User-Mode Linux, the default; qemu, a whole machine with PCI; or
                     debian, the same with Debian's own kernel
  -m, --memory MIB   memory of the guest, 2048 MiB by default
  -p, --processors N processors of the machines qemu and debian, 2 by default
  -k, --kernel WORD  a word for the kernel's command line; may be given more than once
  -t, --timeout SEC  end the guest after this many seconds; 0 for no limit. 600 for a command, none for a shell
  -h, --help         print this

The exit status is the command's; 124 when the time was up, 125 when the lab itself failed.
With "npm run -s lab -- …" standard output contains only the command's output.
`;

const STATUS_TIMED_OUT = 124;
const STATUS_LAB_FAILED = 125;

interface Line {
  command: string[];
  stdin: boolean;
  machine: MachineKind | undefined;
  memoryMiB: number | undefined;
  processors: number | undefined;
  kernelParameters: string[];
  timeoutSeconds: number | undefined;
}

/** `npm run lab`: sets up the lab, runs the command from the arguments in it, and returns the exit status. */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    const line = parse(argv);
    if (line === 'help') {
      process.stdout.write(HELP);
      return 0;
    }
    const lab = await prepareLab([], line.machine ?? chosenMachine());
    if ('missing' in lab) throw new LabError(lab.missing);
    return await run(lab, line);
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    say(error.message);
    return STATUS_LAB_FAILED;
  }
}

function parse(argv: readonly string[]): Line | 'help' {
  const line: Line = {
    command: [],
    stdin: false,
    machine: undefined,
    memoryMiB: undefined,
    processors: undefined,
    kernelParameters: [],
    timeoutSeconds: undefined,
  };
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? '';
    if (word === '-h' || word === '--help') return 'help';
    else if (word === '-i' || word === '--stdin') line.stdin = true;
    else if (word === '-m' || word === '--memory') line.memoryMiB = number(word, argv[++i], 64);
    else if (word === '--machine') line.machine = chosenMachine(text(word, argv[++i]));
    else if (word === '-p' || word === '--processors') line.processors = number(word, argv[++i], 1);
    else if (word === '-k' || word === '--kernel') line.kernelParameters.push(text(word, argv[++i]));
    else if (word === '-t' || word === '--timeout') line.timeoutSeconds = number(word, argv[++i], 0);
    else if (word.startsWith('-') && word !== '--') throw new LabError(`unknown option ${word}; see --help`);
    else {
      line.command = argv.slice(word === '--' ? i + 1 : i);
      break;
    }
  }
  return line;
}

function number(option: string, word: string | undefined, least: number): number {
  const value = /^\d{1,6}$/.test(word ?? '') ? Number(word) : -1;
  if (value < least) throw new LabError(`${option} requires a number of at least ${least}`);
  return value;
}

function text(option: string, word: string | undefined): string {
  if (word === undefined || word === '') throw new LabError(`${option} requires a value`);
  return word;
}

async function run(lab: Lab, line: Line): Promise<number> {
  const terminal = process.stdin.isTTY && process.stdout.isTTY;
  const isShell = line.command.length === 0;
  const session: Session = {
    command: isShell ? shell(terminal) : line.command.length === 1 ? ['sh', '-c', ...line.command] : line.command,
    cwd: process.env['INIT_CWD'] ?? process.cwd(),
    // No other program serves VDUSE devices here, and nothing can be lost.
    environment: { VDPA_VDUSE_SERVE: process.env['VDPA_VDUSE_SERVE'] ?? '1' },
    timeLimitMs: timeLimit(line, isShell),
    kernelParameters: line.kernelParameters,
    ...(line.memoryMiB === undefined ? {} : { memoryMiB: line.memoryMiB }),
    ...(line.processors === undefined ? {} : { processors: line.processors }),
    ...(terminal ? { input: 'terminal' } : line.stdin || isShell ? { input: await readAll(process.stdin) } : {}),
  };
  const ending = terminal ? await withTerminal(() => boot(lab, session)) : await boot(lab, session, outputs);
  return status(ending);
}

const outputs = {
  stdout: (bytes: Uint8Array) => process.stdout.write(bytes),
  stderr: (bytes: Uint8Array) => process.stderr.write(bytes),
};

function shell(terminal: boolean): string[] {
  if (findCommand('bash') === undefined) return ['sh'];
  return terminal ? ['bash', '--rcfile', join(checkoutRoot, 'lab/bashrc')] : ['bash'];
}

function timeLimit({ timeoutSeconds }: Line, isShell: boolean): number | undefined {
  if (timeoutSeconds === undefined) return isShell ? undefined : 600_000;
  return timeoutSeconds === 0 ? undefined : timeoutSeconds * 1000;
}

async function readAll(stream: NodeJS.ReadStream): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** The kernel sets the terminal to raw mode, and may die before it restores it. */
async function withTerminal<T>(work: () => Promise<T>): Promise<T> {
  const saved = spawnSync('stty', ['-g'], { stdio: ['inherit', 'pipe', 'ignore'], encoding: 'utf8' }).stdout.trim();
  const restore = () => {
    if (saved !== '') spawnSync('stty', [saved], { stdio: 'inherit' });
  };
  process.on('exit', restore);
  // This process is not in the foreground, so it is not notified when the terminal is closed.
  const watch = setInterval(() => {
    if (!isatty(0)) process.exit(128 + constants.signals.SIGHUP);
  }, 500);
  try {
    return await work();
  } finally {
    clearInterval(watch);
    process.off('exit', restore);
    restore();
  }
}

function status(ending: Ending): number {
  switch (ending.kind) {
    case 'exited':
      return ending.status;
    case 'timed out':
      say(`ended by force: still running after ${ending.afterMs / 1000} s`);
      return STATUS_TIMED_OUT;
    case 'died':
      say(`the kernel stopped before the command ended${ending.console === '' ? '' : `:\n${ending.console}`}`);
      return STATUS_LAB_FAILED;
  }
}
