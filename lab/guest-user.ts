import { spawnSync } from 'node:child_process';
import { findCommand, isRoot } from './host.js';

/** The host user as which the guest runs; inside the guest, its processes are root nevertheless. */
export interface GuestUser {
  /** For messages. */
  readonly description: string;
  /** Options of setpriv(1) that switch to the guest's user. */
  readonly setpriv: readonly string[];
  /** Owner of the folder that guest and host share; undefined if the user does not change. */
  readonly id: number | undefined;
}

const NOBODY = 65534;

const asNobody = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--no-new-privs'];

const sameUser: GuestUser = { description: 'the current user', setpriv: ['--no-new-privs'], id: undefined };

const unprivilegedUsers: readonly GuestUser[] = [
  { description: 'nobody', setpriv: [...asNobody, '--inh-caps=-all', '--bounding-set=-all'], id: NOBODY },
  {
    // A checkout below /root, or one that only its owner may read. hostfs calls access(2), which considers the capabilities of
    // the real user only if the kernel does not drop them with the user ID.
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
  /** The program that runs the guest, which supports --version, without its arguments. */
  readonly program: readonly string[];
  /** Files and folders that a guest must be able to read. */
  readonly readable: readonly string[];
}

/** The least privileged user that can run a guest: only root can choose. */
export function chooseGuestUser({ program, readable }: Access): GuestUser {
  const setpriv = findCommand('setpriv');
  if (!isRoot() || setpriv === undefined) return sameUser;
  const check = 'while [ "$1" != -- ]; do [ -r "$1" ] || exit 1; shift; done; shift; exec "$@" --version';
  const works = (user: GuestUser): boolean =>
    spawnSync(setpriv, [...user.setpriv, 'sh', '-c', check, 'sh', ...readable, '--', ...program], { stdio: 'ignore' })
      .status === 0;
  return unprivilegedUsers.find(works) ?? sameUser;
}
