// npm run check:packages [-- SUITE…]: installs the Debian package for this machine in clean roots of Debian 12 and 13, or of the
// suites that are named (debootstrap, minbase: without Node, compiler and manual), with and without iproute2, uses it as root and as
// another user, upgrades it, also in the lab under a disk that is in use, and removes it. Run as root.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root, say } from './project.mjs';

const suites = process.argv.length > 2 ? process.argv.slice(2) : ['bookworm', 'trixie'];
const debArch = { x64: 'amd64', arm64: 'arm64' }[process.arch];
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const deb = join(root, `release/vdpa_${version}-1_${debArch}.deb`);

/** Not in /tmp, which the lab hides. npm ci removes it. */
const roots = join(root, 'node_modules/.cache/vdpa-roots');

/** Every file of the root, without caches and logs of dpkg itself. */
const listing = `find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /run \\) -prune -o -print |
  grep -vE '^/var/(log|cache|lib/(dpkg|apt))/|^/var/lib/dpkg' | sort`;

const tour = `
  set -eu
  export VDPA_SIM_STATE=$HOME/sim.json
  vdpa -V | grep -q 'vdpa-${version}'
  test "$(vdpa --sim dev show)" = ''
  vdpa --sim dev add mgmtdev vdpasim_net name card0 mac 00:11:22:33:44:55 mtu 9000
  vdpa --sim dev config show card0 | grep -q 'mac 00:11:22:33:44:55'
  vdpa --sim tree | grep -q card0
  vdpa --sim save "$HOME/state.json"
  vdpa --sim dev del card0
  vdpa --sim apply "$HOME/state.json" | grep -q '+ card0'
  # The module that calls the C library.
  vdpa host show | grep -q '^capabilities: '
  zcat /usr/share/man/man8/vdpa.8.gz | head -2 | grep -q '^.Dt VDPA 8'
  bash -c '. /usr/share/bash-completion/completions/vdpa; complete -p vdpa' | grep -q vdpa
  vdpa __complete dev a | grep -q ^add
  rm "$HOME/sim.json"* "$HOME/state.json"`;

const install = `
  set -eu
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update
  ${listing} > /tmp/before
  apt-get -qq install --no-install-recommends /tmp/vdpa.deb >/dev/null
  export HOME=/tmp/home PATH=/usr/sbin:/usr/bin:/sbin:/bin
  mkdir -p $HOME; chmod 777 $HOME
  sh -c "$TOUR"
  setpriv --reuid=nobody --regid=nogroup --clear-groups sh -c "$TOUR"
  test "$(readlink -f /usr/sbin/vdpa)" = /usr/lib/vdpa/vdpa
  # An upgrade changes nothing.
  dpkg -i /tmp/vdpa.deb
  sh -c "$TOUR"`;

const remove = `
  apt-get -qq purge --autoremove vdpa >/dev/null
  ${listing} > /tmp/after
  diff /tmp/before /tmp/after`;

/** The programs of iproute2 and this one side by side: alternatives choose, and iproute2's are restored. */
const beside = `
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update
  apt-get -qq install --no-install-recommends iproute2 >/dev/null
  ${install}
  vdpa.iproute2 -V | grep -q iproute2
  update-alternatives --set vdpa /usr/sbin/vdpa.iproute2
  vdpa -V | grep -q iproute2
  update-alternatives --auto vdpa
  apt-get -qq install --reinstall iproute2 >/dev/null
  vdpa -V | grep -q 'vdpa-${version}'
  ${remove}
  /usr/sbin/vdpa -V | grep -q iproute2`;

for (const suite of suites) {
  inRoot(suite, (folder) => {
    report(suite, 'alone', chroot(folder, `${install}\n${remove}`));
  });
  inRoot(suite, (folder) => {
    report(suite, 'beside iproute2', chroot(folder, beside));
  });
  inRoot(suite, (folder) => {
    report(suite, 'upgrade with a running disk', chroot(folder, install) || upgradeInLab(folder));
  });
}

function report(suite, what, status) {
  say(`${suite}, ${what}: ${status === 0 ? 'passed' : 'FAILED'}`);
  if (status !== 0) process.exitCode = 1;
}

/** Calls a function with a new root of a suite, which has the package in /tmp. */
function inRoot(suite, use) {
  const original = base(suite);
  const copy = mkdtempSync(join(roots, 'copy-'));
  try {
    spawnSync('cp', ['-a', `${original}/.`, copy], { stdio: ['ignore', 2, 2] });
    cpSync(deb, join(copy, 'tmp/vdpa.deb'));
    cpSync('/etc/resolv.conf', join(copy, 'etc/resolv.conf'));
    use(copy);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

/** Runs a script in a root. @returns its exit status */
function chroot(folder, script) {
  // A namespace of its own: what is mounted for the root goes with it.
  const inside = 'mount -t proc proc "$0/proc"; mount --rbind /dev "$0/dev"; exec chroot "$0" sh -euc "$1"';
  const { status } = spawnSync('unshare', ['-mpf', '--propagation=private', 'sh', '-euc', inside, folder, script], {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', TOUR: tour, LC_ALL: 'C' },
    stdio: ['ignore', 2, 2],
  });
  return status;
}

/** Upgrades in the lab, whose `vdpa` is the package's: what its Node needs is known then. @returns the exit status */
function upgradeInLab(folder) {
  // The lab runs without privileges, and has to read all of it.
  spawnSync('chmod', ['-R', 'a+rX', folder], { stdio: ['ignore', 2, 2] });
  const words = ['scripts/lab.mjs', 'sh', join(root, 'scripts/check-upgrade.sh'), folder];
  const env = { ...process.env, VDPA_LAB_PROGRAM: join(folder, 'usr/lib/vdpa/vdpa') };
  return spawnSync('node', words, { cwd: root, env, stdio: ['ignore', 2, 2] }).status;
}

/** A minimal root of a suite, made once. */
function base(suite) {
  const folder = join(roots, suite);
  if (existsSync(folder)) return folder;
  const making = `${folder}.making`;
  rmSync(making, { recursive: true, force: true });
  mkdirSync(making, { recursive: true });
  const { status } = spawnSync('debootstrap', ['--variant=minbase', suite, making], { stdio: ['ignore', 'ignore', 2] });
  if (status !== 0) throw new Error(`debootstrap of ${suite} failed`);
  renameSync(making, folder);
  return folder;
}
