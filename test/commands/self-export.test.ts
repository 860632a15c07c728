import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { checkoutRoot } from '../../lab/cache.js';
import { lines, output, vdpa } from '../support/command-line.js';

const folder = mkdtempSync(join(tmpdir(), 'vdpa-self-'));
const prefix = join(folder, 'usr');
beforeEach(() => {
  rmSync(prefix, { recursive: true, force: true });
});
after(() => {
  rmSync(folder, { recursive: true });
});

const source = (path: string): string => readFileSync(join(checkoutRoot, path), 'utf8');

test('writes every man page, completion, schema and unit where other programs look for them', async () => {
  const printed = await output(['self', 'export', prefix]);
  const paths = readdirSync(prefix, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  assert.deepEqual(printed.trimEnd().split('\n').sort(), paths.sort());
  const copies: [string, string][] = [
    ...readdirSync(join(checkoutRoot, 'man')).map((page): [string, string] => [
      `man/${page}`,
      `share/man/man${page.at(-1) ?? ''}/${page}`,
    ]),
    ...readdirSync(join(checkoutRoot, 'schemas'), { recursive: true })
      .map(String)
      .filter((name) => name.endsWith('.json'))
      .map((name): [string, string] => [`schemas/${name}`, `share/vdpa/schemas/${name}`]),
    ['completions/vdpa.bash', 'share/bash-completion/completions/vdpa'],
    ['completions/_vdpa', 'share/zsh/site-functions/_vdpa'],
    ['completions/vdpa.fish', 'share/fish/vendor_completions.d/vdpa.fish'],
  ];
  for (const [from, to] of copies) assert.equal(readFileSync(join(prefix, to), 'utf8'), source(from), to);
  const units = ['vdpa-restore.service', 'vdpa-vduse@.service'].map((unit) => join(prefix, 'lib/systemd/system', unit));
  assert.deepEqual(
    paths.filter((path) => !copies.some(([, to]) => path === join(prefix, to))),
    units,
  );
  // The umask may take bits away.
  for (const path of paths) assert.equal(statSync(path).mode & 0o777 & ~0o644, 0, path);
});

test('units start this program, or the one that is named', async () => {
  const unit = (): string => readFileSync(join(prefix, 'lib/systemd/system/vdpa-vduse@.service'), 'utf8');
  await output(['self', 'export', prefix]);
  assert.ok(unit().includes(`\nExecStart=${process.execPath} `), unit());
  await output(['self', 'export', prefix, 'program', '/opt/a %b/vdpa']);
  assert.match(unit(), /^ExecStart="\/opt\/a %%b\/vdpa" vduse serve /m);
  assert.match(unit(), /^ProtectHome=yes$/m);
  await output(['self', 'export', prefix, 'program', '/root/vdpa']);
  assert.match(unit(), /^ProtectHome=read-only$/m);
  assert.doesNotMatch(unit(), /@[A-Z_]+@/);
});

test('refuses what it cannot write, and words that it does not know', async () => {
  const failed = async (...words: string[]): Promise<string> => {
    const { status, stdout, stderr } = await vdpa(['self', 'export', ...words]);
    assert.deepEqual([status, stdout], [1, '']);
    return stderr;
  };
  assert.equal(await failed(), lines('Usage: vdpa self export DIR [ program FILE ]'));
  assert.equal(await failed(prefix, 'program', 'vdpa'), lines('Invalid program "vdpa": expected an absolute path'));
  assert.match(await failed(prefix, 'program', '/opt/$HOME'), /contains characters that units of systemd cannot start/);
  assert.match(await failed('/proc/nothing'), /^Cannot create folder "\/proc\/nothing": /);
  const page = join(prefix, 'share/man/man8/vdpa.8');
  mkdirSync(join(page, '..'), { recursive: true });
  symlinkSync('/etc/passwd', page);
  assert.match(await failed(prefix), /vdpa\.8": it is a symbolic link/);
});
