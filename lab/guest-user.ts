import { spawnSync } from 'node:child_process';
import { findCommand, isRoot } from './host.js';

/** The user on the host that the guest runs as; inside, it is root all the same. */
export interface GuestUser {
  /** For the log and for people. */
  readonly description: string;
  /** Options of setpriv(1) that turn this process's user into the guest's. */
  readonly setpriv: readonly string[];
  /** Owner of the folder that guest and host share; undefined where the user stays what it is. */
  readonly id: number | undefined;
}

const NOBODY = 65534;

const asNobody = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--no-new-privs'];

const sameUser: GuestUser = { description: 'the current user', setpriv: ['--no-new-privs'], id: undefined };

const unprivilegedUsers: readonly GuestUser[] = [
  { description: 'nobody', setpriv: [...asNobody, '--inh-caps=-all', '--bounding-set=-all'], id: NOBODY },
  {
    // A checkout below /root, or one that only its owner may read. hostfs asks access(2), which looks at the
    // capabilities of the real user only where the kernel is told not to drop them with the user id.
    description: 'nobody, with the right to read all files',
    setpriv: [
      ...asNobody,
      '--securebits=+no_setuid_fixup',
      '--inh-caps=-all,+dac_read_search',
      '--ambient-caps=-all,+dac_read_search',
      '--bounding-set=-all,+dac_read_search',
    ],
    id: NOBODY,
  },
];

export interface Access {
  /** The program that the guest is, which knows the option --version, before its arguments. */
  readonly program: readonly string[];
  /** Files and folders that a guest must be able to read. */
  readonly readable: readonly string[];
}

/** The user with the least rights under which a guest can run: only root can choose. */
export function chooseGuestUser({ program, readable }: Access): GuestUser {
  const setpriv = findCommand('setpriv');
  if (!isRoot() || setpriv === undefined) return sameUser;
  const check = 'while [ "$1" != -- ]; do [ -r "$1" ] || exit 1; shift; done; shift; exec "$@" --version';
  const works = (user: GuestUser): boolean =>
    spawnSync(setpriv, [...user.setpriv, 'sh', '-c', check, 'sh', ...readable, '--', ...program], { stdio: 'ignore' })
      .status === 0;
  return unprivilegedUsers.find(works) ?? sameUser;
}
