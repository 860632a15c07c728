/**
 * Drops privileges permanently: another user, without capabilities and without a way to gain any. See credentials(7),
 * capabilities(7), prctl(2).
 */
import { readdirSync, readFileSync } from 'node:fs';
import { userIds } from './accounts.js';
import { PrivilegeError } from './error.js';
import { checked, libc } from './libc.js';

const PR_SET_PDEATHSIG = 1;
const PR_SET_NO_NEW_PRIVS = 38;
const SIGTERM = 15;

const prctl: (option: number, a: number, b: number, c: number, d: number) => number = libc.func(
  'int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)',
);
/** The C library does it for all threads. */
const initgroups: (user: string, group: number) => number = libc.func(
  'int initgroups(const char *user, unsigned int group)',
);

/**
 * no_new_privs for the calling thread and everything that it starts from now on: executing programs no longer grants
 * privileges.
 * @throws SystemError
 */
export function setNoNewPrivileges(): void {
  checked('forbid new privileges', prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

/** Makes the kernel send a termination signal to the calling process when its parent ends. @throws SystemError */
export function setParentDeathSignal(): void {
  checked('exit together with the parent process', prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0));
}

/**
 * Looks up a user.
 * @throws PrivilegeError if there is none of that name, or if it is root
 */
export function findUser(name: string): { readonly uid: number; readonly gid: number } {
  const ids = userIds(name);
  if (!ids) throw new PrivilegeError(`Unknown user ${JSON.stringify(name)}`);
  if (ids.uid === 0) throw new PrivilegeError(`User ${name} is root: expected an unprivileged user`);
  return ids;
}

/**
 * Switches all threads of this process to a user, with its groups and without other privileges. Only root can do that.
 * @throws PrivilegeError, Error
 */
export function dropPrivileges(name: string): void {
  const { uid, gid } = findUser(name);
  checked(`set the groups of ${name}`, initgroups(name, gid));
  process.setgid?.(gid);
  // The kernel removes the capabilities with it.
  process.setuid?.(uid);
  checkThreads(uid, gid);
}

/** Checks that no thread has kept privileges. */
function checkThreads(uid: number, gid: number): void {
  for (const thread of readdirSync('/proc/self/task')) {
    const status = readFileSync(`/proc/self/task/${thread}/status`, 'utf8');
    const field = (key: string): string => new RegExp(`^${key}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';
    const isAll = (key: string, id: number): boolean =>
      field(key)
        .split(/\s+/)
        .every((word) => Number(word) === id);
    const kept = ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'].filter((key) => !/^0+$/.test(field(key)));
    if (!isAll('Uid', uid) || !isAll('Gid', gid) || kept.length > 0 || field('NoNewPrivs') !== '1') {
      throw new PrivilegeError(
        `A thread kept its privileges: ${['Uid', 'Gid', ...kept, 'NoNewPrivs'].map((key) => `${key} ${field(key)}`).join(', ')}`,
      );
    }
  }
}
