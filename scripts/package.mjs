// npm run build:packages [-- ARCHITECTURE…]: writes release/vdpa_VERSION-1_ARCHITECTURE.deb and release/vdpa-VERSION-1.ARCHITECTURE.rpm
// and the executables in them (npm run build:binary), for x64 and arm64, or those that are named. dpkg-deb and rpmbuild are needed.
//
// The same commit gives the same bytes: times are those of the commit, owners are root.
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { architectures, runtimeFile } from './prebuilt.mjs';
import { root, say } from './project.mjs';

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const debian = join(root, 'packaging/debian');

/** Node's names of architectures, and those of Debian and RPM. */
const names = { x64: { deb: 'amd64', rpm: 'x86_64' }, arm64: { deb: 'arm64', rpm: 'aarch64' } };

/** The last commit: its time is that of all files, and its committer maintains the packages, unless DEBFULLNAME and DEBEMAIL say who does. */
const commit = (format) =>
  spawnSync('git', ['log', '-1', `--format=${format}`], { cwd: root, encoding: 'utf8' }).stdout.trim();
const { DEBFULLNAME = commit('%cn'), DEBEMAIL = commit('%ce') } = process.env;
const maintainer = `${DEBFULLNAME} <${DEBEMAIL}>`;
const epoch = process.env.SOURCE_DATE_EPOCH ?? commit('%ct');

/** The pages whose names iproute2's have too. */
const shared = ['vdpa.8', 'vdpa-dev.8', 'vdpa-mgmtdev.8'];

const wanted = process.argv.slice(2);
run(process.execPath, [join(root, 'scripts/build-binary.mjs'), ...wanted]);
for (const arch of wanted.length === 0 ? architectures : wanted) {
  const work = mkdtempSync(join(tmpdir(), 'vdpa-package-'));
  try {
    const tree = join(work, 'tree');
    makeTree(tree, arch);
    // rpmbuild first: the Debian package has more files.
    buildRpm(tree, work, arch);
    buildDeb(tree, arch);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The files of the package, without what only one of the two formats has. */
function makeTree(tree, arch) {
  const usr = join(tree, 'usr');
  mkdirSync(join(usr, 'lib/vdpa'), { recursive: true });
  cpSync(join(root, `release/vdpa-linux-${arch}`), join(usr, 'lib/vdpa/vdpa'));
  const program = join(root, 'bin/vdpa.js');
  run(process.execPath, [program, 'self', 'export', usr, 'program', '/usr/lib/vdpa/vdpa']);
  for (const name of ['sysusers', 'tmpfiles']) {
    const folder = join(usr, `lib/${name}.d`);
    mkdirSync(folder);
    cpSync(join(root, `packaging/${name}.conf`), join(folder, 'vdpa.conf'));
  }
  const doc = join(usr, 'share/doc/vdpa');
  mkdirSync(doc, { recursive: true });
  cpSync(join(debian, 'copyright'), join(doc, 'copyright'));
  cpSync(join(root, 'CHANGELOG.md'), join(doc, 'changelog'));
  cpSync(runtimeFile(arch, 'LICENSE'), join(doc, 'LICENSE.node'));
  mkdirSync(join(usr, 'share/vdpa/man'));
  for (const page of shared) {
    cpSync(join(usr, 'share/man/man8', page), join(usr, 'share/vdpa/man', page));
    rmSync(join(usr, 'share/man/man8', page));
  }
  const pages = filesBelow(join(usr, 'share')).filter((file) => /\/man\/|\/changelog$|\/LICENSE\.node$/.test(file));
  run('gzip', ['-9n', ...pages]);
  for (const file of filesBelow(tree)) chmodSync(file, file.endsWith('/lib/vdpa/vdpa') ? 0o755 : 0o644);
}

function buildDeb(tree, arch) {
  const control = join(tree, 'DEBIAN');
  mkdirSync(control);
  const kib = Math.ceil(filesBelow(tree).reduce((sum, file) => sum + statSync(file).size, 0) / 1024);
  const values = { '@VERSION@': version, '@ARCH@': names[arch].deb, '@SIZE@': String(kib), '@MAINTAINER@': maintainer };
  const text = readFileSync(join(debian, 'control.in'), 'utf8').replaceAll(/@[A-Z]+@/g, (name) => values[name]);
  writeFileSync(join(control, 'control'), text);
  for (const script of ['preinst', 'postinst', 'prerm', 'postrm']) {
    cpSync(join(debian, script), join(control, script));
    chmodSync(join(control, script), 0o755);
  }
  const overrides = join(tree, 'usr/share/lintian/overrides');
  mkdirSync(overrides, { recursive: true });
  cpSync(join(debian, 'lintian-overrides'), join(overrides, 'vdpa'));
  const date = new Date(Number(epoch) * 1000).toUTCString().replace('GMT', '+0000');
  const log = join(tree, 'usr/share/doc/vdpa/changelog.Debian');
  const entry = `  * Packages of version ${version}: see changelog.gz.\n\n -- ${maintainer}  ${date}\n`;
  writeFileSync(log, `vdpa (${version}-1) stable; urgency=medium\n\n${entry}`);
  run('gzip', ['-9n', log]);
  const files = filesBelow(join(tree, 'usr')).sort();
  const sums = run(
    'md5sum',
    files.map((file) => relative(tree, file)),
    tree,
  );
  writeFileSync(join(control, 'md5sums'), sums);
  normalizeFolders(tree);
  const out = join(root, `release/vdpa_${version}-1_${names[arch].deb}.deb`);
  run('dpkg-deb', ['--root-owner-group', '-Zgzip', '--build', tree, out]);
  say(relative(process.cwd(), out));
}

function buildRpm(tree, work, arch) {
  normalizeFolders(tree);
  const listed = filesBelow(tree).map((file) => file.slice(tree.length));
  const spec = join(work, 'vdpa.spec');
  const values = { '@VERSION@': version, '@FILES@': listed.map((file) => `"${file}"`).join('\n') };
  const text = readFileSync(join(root, 'packaging/rpm/vdpa.spec.in'), 'utf8');
  writeFileSync(
    spec,
    text.replaceAll(/@[A-Z]+@/g, (name) => values[name]),
  );
  const options = {
    _topdir: join(work, 'rpm'),
    _rpmdir: join(root, 'release'),
    tree,
    _rpmfilename: '%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm',
  };
  const defines = Object.entries(options).flatMap(([name, value]) => ['--define', `${name} ${value}`]);
  run('rpmbuild', ['-bb', '--quiet', `--target=${names[arch].rpm}-linux`, ...defines, spec]);
  say(relative(process.cwd(), join(root, `release/vdpa-${version}-1.${names[arch].rpm}.rpm`)));
}

/** The regular files below a folder. */
function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Whatever the umask was. */
function normalizeFolders(folder) {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) chmodSync(join(entry.parentPath, entry.name), 0o755);
  }
  chmodSync(folder, 0o755);
}

/** Runs a program and returns its output. */
function run(file, args, cwd = root) {
  const env = { ...process.env, SOURCE_DATE_EPOCH: epoch, TZ: 'UTC' };
  const { status, stdout, error } = spawnSync(file, args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 2] });
  if (status !== 0) throw new Error(`${[file, ...args].join(' ')} failed${error ? `: ${error.message}` : ''}`);
  return stdout;
}
