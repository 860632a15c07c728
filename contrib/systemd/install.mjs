#!/usr/bin/env node
// Writes the systemd units of this folder for the program at its path: install.mjs [FOLDER], by default /etc/systemd/system.
import {
  existsSync,
  readFileSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const units = import.meta.dirname;
const program = fileURLToPath(new URL('../../bin/vdpa.js', import.meta.url));
const node = process.execPath;

/** The folders that ProtectHome=yes hides. */
const homes = ['/home', '/root', '/run/user'].filter(existsSync).map((home) => realpathSync(home));
const isBelow = (path, folder) => path.startsWith(`${folder}/`);

function main() {
  const [folder = '/etc/systemd/system', ...rest] = process.argv.slice(2);
  if (rest.length > 0 || folder.startsWith('-')) throw new Error('Usage: install.mjs [FOLDER]');
  if (!existsSync(program)) throw new Error(`${program} is not built: run "npm ci" first`);
  for (const path of [node, program]) {
    if (isBelow(path, '/tmp') || isBelow(path, '/var/tmp')) throw new Error(`${path} does not survive a reboot there`);
    if (/[^\w./@:+,~% -]/.test(path))
      throw new Error(`${path} contains characters that are not allowed in commands of systemd units`);
  }
  warnOfOthers();
  const isAtHome = [node, program].some((path) => homes.some((home) => isBelow(path, home)));
  const values = {
    // Not through its "#!" line: systemd's PATH may not include Node.
    '@VDPA@': [node, program].map((path) => (/[ %]/.test(path) ? `"${path.replaceAll('%', '%%')}"` : path)).join(' '),
    '@WRITER@': 'contrib/systemd/install.mjs',
    '@PROTECT_HOME@': isAtHome ? 'read-only' : 'yes',
  };
  for (const template of readdirSync(units).filter((name) => name.endsWith('.service.in'))) {
    const text = readFileSync(join(units, template), 'utf8').replaceAll(/@[A-Z_]+@/g, (name) => values[name]);
    write(join(folder, basename(template, '.in')), text);
  }
  console.log('Next: systemctl daemon-reload; systemctl enable vdpa-restore.service');
}

/** Writes a file atomically. */
function write(path, text) {
  const temporary = `${path}.${process.pid}`;
  try {
    writeFileSync(temporary, text, { flag: 'wx', mode: 0o644 });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new Error(`failed to write ${path}: ${error.code ?? error.message}`, { cause: error });
  }
  console.log(path);
}

/** Warns that the units run, as root, files that other users may be able to change. */
function warnOfOthers() {
  const changeable = (path) => {
    const { uid, mode } = statSync(path);
    // In a folder with the sticky bit, users cannot replace the files of others.
    if (uid !== 0 || ((mode & 0o022) !== 0 && (mode & 0o1000) === 0)) return path;
    return path === '/' ? undefined : changeable(dirname(path));
  };
  for (const path of [node, program].map((file) => changeable(file))) {
    if (path !== undefined)
      console.error(`Warning: users other than root can change ${path}, which root runs at boot.`);
  }
}

try {
  main();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
