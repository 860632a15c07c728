import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { checkoutRoot } from '../../lab/cache.js';
import { isOffline, type Ended } from '../support/registry.js';

const built = join(checkoutRoot, `release/vdpa-linux-${process.arch}`);

describe('the single executable', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vdpa-binary-test-'));
  const program = join(folder, 'bin/vdpa');
  const work = join(folder, 'work');
  let building: Ended;

  before(() => {
    const script = join(checkoutRoot, 'scripts/build-binary.mjs');
    building = spawnSync(process.execPath, [script, process.arch], { encoding: 'utf8' });
    if (building.status !== 0) return;
    // Alone, away from this checkout and its packages.
    mkdirSync(join(folder, 'bin'));
    cpSync(built, program);
    mkdirSync(work);
  });

  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  function run(words: readonly string[], env: NodeJS.ProcessEnv = {}) {
    const { status, stdout, stderr } = spawnSync(program, words, {
      cwd: work,
      env: { VDPA_SIM_STATE: join(folder, 'sim.json'), ...env },
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  }

  const isBuilt = (context: TestContext): boolean => {
    if (isOffline(building, context)) return false;
    assert.equal(building.status, 0, building.stderr);
    return true;
  };

  test('needs neither Node nor files beside it', (context) => {
    if (!isBuilt(context)) return;
    assert.match(run(['-V']).stdout, /^vdpa utility, vdpa-/);
    assert.match(run(['--sim', 'mgmtdev', 'show']).stdout, /^vdpasim_net: $/m);
    // It starts itself again.
    const added = run(['sim', 'run', '--', 'vdpa', 'dev', 'add', 'mgmtdev', 'vdpasim_net', 'name', 'foo0'], {
      PATH: '/usr/bin:/bin',
    });
    assert.deepEqual(added, { status: 0, stdout: '', stderr: '' });
    assert.deepEqual(readdirSync(join(folder, 'bin')), ['vdpa']);
    assert.deepEqual(readdirSync(work), []);
  });

  test('calls the C library, through a module that it contains', (context) => {
    if (!isBuilt(context)) return;
    const { status, stdout, stderr } = run(['host', 'show']);
    assert.equal(stderr, '');
    assert.match(stdout, /^machine: kernel /);
    assert.ok(status === 0 || status === 1);
    assert.match(stdout, /^capabilities: /m);
  });

  test('writes its man pages, completions, schemas and units', (context) => {
    if (!isBuilt(context)) return;
    const prefix = join(folder, 'usr');
    const { status, stdout, stderr } = run(['self', 'export', prefix]);
    assert.deepEqual([status, stderr], [0, '']);
    const inNode = [join(checkoutRoot, 'bin/vdpa.js'), 'self', 'export', prefix];
    assert.equal(stdout, spawnSync(process.execPath, inNode, { encoding: 'utf8' }).stdout);
    assert.ok(stdout.includes('/share/man/man8/vdpa.8\n'));
  });

  test('takes all its arguments, and any bytes in them', (context) => {
    if (!isBuilt(context)) return;
    assert.match(run(['--version']).stderr, /^vdpa: unrecognized option '--version'$/m);
    const { stderr } = run(['--sim', 'dev', 'show', '--require=./evil.js']);
    assert.match(stderr, /--require=.\/evil\.js/);
    const bytes = spawnSync('/bin/sh', ['-c', `"$0" "$(printf 'a\\377b')"`, program]);
    assert.ok(bytes.stderr.includes(Buffer.from('a\xffb', 'latin1')), bytes.stderr.toString('latin1'));
  });

  test('runs no code and reads no settings that its environment or folder names', (context) => {
    if (!isBuilt(context)) return;
    const evil = `require('node:fs').writeFileSync(${JSON.stringify(join(folder, 'evil'))}, '')`;
    for (const name of ['koffi', 'node-netlink']) {
      mkdirSync(join(work, 'node_modules', name), { recursive: true });
      writeFileSync(join(work, 'node_modules', name, 'index.js'), evil);
    }
    writeFileSync(join(work, 'evil.js'), evil);
    writeFileSync(join(work, '.env'), 'NODE_OPTIONS=--require=./evil.js\nVDPA_SIM=1\n');
    writeFileSync(join(work, 'package.json'), '{ "main": "./evil.js" }\n');
    const hostile = { NODE_OPTIONS: '--require=./evil.js', NODE_PATH: join(work, 'node_modules') };
    const { stdout } = run(['mgmtdev', 'show'], hostile);
    assert.doesNotMatch(stdout, /vdpasim_net/);
    const { status, stderr } = run(['mgmtdev', 'show'], { ...hostile, VDPA_NETLINK_TRANSPORT: 'node-netlink' });
    assert.equal(status, 1);
    assert.match(stderr, /^Failed to load the netlink transport node-netlink: /);
    assert.equal(readdirSync(folder).includes('evil'), false);
    for (const name of readdirSync(work)) rmSync(join(work, name), { recursive: true });
  });
});
