/** What is printed about missing Debian packages, and when they are installed, with an apt-get that only logs. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, describe, test } from 'node:test';
import { checkoutRoot } from '../../lab/cache.js';
import { isDebian, isRoot } from '../../lab/host.js';

const folder = mkdtempSync(join(tmpdir(), 'vdpa-packages-'));
const log = join(folder, 'apt.log');
const needs = ['guest', 'reference', 'kernel', 'vduse', 'shells'];
const packages = readFileSync(join(checkoutRoot, 'lab/debian-packages.txt'), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => line.split(/[|\s]/)[0] ?? '');

/** Creates a program in the folder. */
function program(name: string, script: string): void {
  writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, name), 0o755);
}

/** Evaluates an expression with a module of the lab in a separate process, whose PATH begins with the folder. */
function evaluate(module: string, expression: string, env: NodeJS.ProcessEnv, before = '') {
  const script = `${before}import(${JSON.stringify(join(checkoutRoot, 'build/lab', module))}).then(async (lab) => {
    console.log(JSON.stringify(await ${expression} ?? null));
  })`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', script], {
    env: { ...process.env, VDPA_INSTALL: '', PATH: `${folder}:${process.env['PATH'] ?? ''}`, ...env },
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  return { value: JSON.parse(stdout) as unknown, stderr };
}

after(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('on Debian, packages that are missing', isDebian() ? {} : { skip: 'this is not Debian' }, () => {
  beforeEach(() => {
    rmSync(log, { force: true });
    program('dpkg-query', 'echo "dpkg installed"');
    program(
      'apt-get',
      `echo "$@" >>${log}; echo "0 upgraded, 1 newly installed, 0 to remove"; echo "Setting up x (1) ..."`,
    );
  });
  const provide = (env: NodeJS.ProcessEnv) =>
    evaluate('packages.js', `lab.providePackages(${JSON.stringify(needs)}).then((missing) => [...missing])`, env);

  test('are listed together, in one line for apt-get, if they must not be installed', () => {
    const { value, stderr } = provide({ VDPA_INSTALL: '0' });
    const asRoot = isRoot() ? '' : 'sudo ';
    const line = `${asRoot}apt-get install --no-install-recommends ${packages.join(' ')}`;
    assert.equal(stderr, `lab: missing packages; to install them: ${line}\n`);
    assert.deepEqual(
      (value as [string, string[]][]).flatMap(([, names]) => names),
      packages,
    );
    assert.ok(!existsSync(log));
  });

  test('are listed before root has them installed, all together', { skip: isRoot() ? false : 'not root' }, () => {
    const { value, stderr } = provide({});
    const [first, ...others] = stderr.trimEnd().split('\n');
    const said = `installing ${packages.length} Debian packages, as root: ${packages.join(' ')} (VDPA_INSTALL=0 disables this)`;
    assert.equal(first, `lab: ${said}`);
    assert.match(others.at(-1) ?? '', /^lab: installing: done in /);
    assert.deepEqual(value, []);
    assert.match(readFileSync(log, 'utf8'), new RegExp(`^.* install -- ${packages.join(' ')}\\n$`));
  });
});

test('an iproute2 vdpa that fails to run is not used', () => {
  const cached = join(folder, 'vdpa-lab/iproute2-6.15.0');
  mkdirSync(cached, { recursive: true });
  program('vdpa-lab/iproute2-6.15.0/vdpa', 'echo "error while loading shared libraries: libmnl.so.0" >&2; exit 127');
  // Root's cache always has the same path.
  const isOther = 'process.getuid = () => 65534;';
  const find = () => evaluate('reference.js', 'lab.findReference()', { XDG_CACHE_HOME: folder }, isOther).value;
  assert.notEqual(find(), join(cached, 'vdpa'));
  program('vdpa-lab/iproute2-6.15.0/vdpa', 'echo "vdpa utility, iproute2-6.15.0"');
  assert.equal(find(), join(cached, 'vdpa'));
});
