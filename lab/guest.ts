import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { checkoutRoot } from './cache.js';
import type { GuestUser } from './guest-user.js';
import { LabError, requireCommand } from './host.js';
import type { PreparedMachine } from './machine/start.js';

export interface Guest {
  /** The last messages of the kernel. */
  console(): string;
  /** Kills it. */
  stop(): void;
  /** Settles when the guest and its keeper are gone, with whether the time limit ended them. */
  ended(timeLimitMs: number | undefined): Promise<boolean>;
}

export interface GuestProcess {
  readonly user: GuestUser;
  /** The run folder, which is removed when the guest ends. */
  readonly folder: string;
  readonly machine: PreparedMachine;
  /** Whether the guest gets this process's terminal. */
  readonly terminal: boolean;
}

/** Starts a guest under a keeper: it ends when this process does, however that ends. */
export function startGuest({ user, folder, machine, terminal }: GuestProcess): Guest {
  const setpriv = requireCommand('setpriv', 'util-linux');
  const limits = [requireCommand('prlimit', 'util-linux'), '--core=0'];
  const guest = [setpriv, ...user.setpriv, '--pdeathsig', 'KILL', ...limits, ...machine.command];
  // On a terminal the guest must be in the foreground process group: only that one is notified of a new window size.
  const dying = [setpriv, '--pdeathsig', 'KILL', 'sh'];
  const sized = machine.followsTerminal ? guest : [...dying, join(checkoutRoot, 'lab/terminal.sh'), folder, ...guest];
  const started = terminal ? [...dying, '-mc', '"$@"', 'sh', ...sized] : guest;
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
    stop,
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
          reject(new LabError(`failed to start the guest: ${error.message}`));
        });
        child.on('close', () => {
          finish();
          resolve(timedOut);
        });
      }),
  };
}
