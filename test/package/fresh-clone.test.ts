/** What the README says about a fresh clone, as root and as an ordinary user, with an empty npm cache. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test, type TestContext } from 'node:test';
import { cloneFresh, needsGit } from '../support/fresh-clone.js';
import { isOffline, type Ended } from '../support/registry.js';
import { needs } from '../support/kernel/lab/needs.js';

/** The ID of the user nobody and its group on Debian and most other systems. */
const NOBODY = 65534;

const needsSomebody = process.getuid?.() === 0 ? needs('setpriv') : { skip: 'only root can become another user' };
let folder: string;

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'vdpa-clone-'));
  chmodSync(folder, 0o755);
});

after(() => {
  rmSync(folder, { recursive: true, force: true });
});

interface Outcome extends Ended {
  readonly stdout: string;
}

/** A user with a clone, a home and a folder to install to, all new. */
class Person {
  readonly clone: string;
  readonly prefix: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #become: readonly string[];

  /** @param uid the user ID, if it is not the one that runs the tests */
  constructor(name: string, uid?: number) {
    const home = join(folder, name);
    this.clone = join(home, 'vdpa');
    this.prefix = join(home, 'prefix');
    cloneFresh(this.clone);
    mkdirSync(this.prefix);
    if (uid !== undefined) own(home, uid);
    this.#become = uid === undefined ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--'];
    // Without the settings of the npm that runs the tests.
    const ofThatNpm = /^npm_config_(?:prefix|global_prefix|local_prefix|userconfig)$/;
    this.#env = {
      ...Object.fromEntries(Object.entries(process.env).filter(([key]) => !ofThatNpm.test(key))),
      HOME: home,
      VDPA_SIM_STATE: join(home, 'sim.json'),
      npm_config_cache: join(home, '.npm'),
    };
  }

  async run(file: string, ...argv: string[]): Promise<Outcome> {
    const line = [...this.#become, file, ...argv];
    const child = spawn(line[0] ?? file, line.slice(1), {
      cwd: this.clone,
      env: this.#env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const closed = once(child, 'close');
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
    await closed;
    return { status: child.exitCode, stdout, stderr };
  }
}

/** Changes the owner of a folder and everything in it. */
function own(path: string, uid: number): void {
  chownSync(path, uid, uid);
  for (const name of readdirSync(path, { recursive: true, encoding: 'utf8' })) chownSync(join(path, name), uid, uid);
}

/** `npm install -g .` installs a program that works, with its man pages. */
async function installs(person: Person, context: TestContext, ...options: string[]): Promise<void> {
  const installed = await person.run('npm', 'install', '-g', '--prefix', person.prefix, ...options, '.');
  if (isOffline(installed, context)) return;
  assert.equal(installed.status, 0, installed.stderr);
  await shows(person, join(person.prefix, 'bin/vdpa'));
  assert.ok(existsSync(join(person.prefix, 'share/man/man8/vdpa.8')));
}

async function shows(person: Person, ...program: [string, ...string[]]): Promise<void> {
  const { status, stdout, stderr } = await person.run(...program, '--sim', 'mgmtdev', 'show');
  assert.deepEqual([status, stderr], [0, '']);
  assert.match(stdout, /^vdpasim_net: \n {2}supported_classes net$/m);
}

describe('a fresh clone', { concurrency: true, ...needsGit }, () => {
  test('of whoever runs the tests: npm install -g ., npx vdpa and the demo work', async (context) => {
    const person = new Person('first');
    await installs(person, context);
    await shows(person, 'npx', 'vdpa');
    const demo = await person.run('npm', 'run', '-s', 'demo');
    assert.equal(demo.status, 0, demo.stderr);
    assert.match(demo.stdout, /^\$ vdpa mgmtdev show\nvdpasim_net: $/m);
    assert.match(demo.stderr, /To continue, in this folder:\n {2}npx vdpa --sim help /m);
    const builtAt = () => statSync(join(person.clone, 'dist/index.js'), { throwIfNoEntry: false })?.mtimeMs;
    const first = builtAt();
    await installs(person, context, '--install-links');
    // Nothing is rebuilt if it is already built, perhaps by another user.
    assert.equal(builtAt(), first);
    rmSync(person.clone, { recursive: true });
    mkdirSync(person.clone);
    if (first !== undefined) await shows(person, join(person.prefix, 'bin/vdpa'));
  });

  test('of an ordinary user: npm pack and npm install -g . work', needsSomebody, async (context) => {
    const person = new Person('second', NOBODY);
    const packed = await person.run('npm', 'pack', '--json');
    if (isOffline(packed, context)) return;
    assert.equal(packed.status, 0, packed.stderr);
    const [{ files }] = JSON.parse(packed.stdout) as [{ files: { path: string }[] }];
    assert.ok(files.some(({ path }) => path === 'bin/vdpa.js'));
    await installs(person, context);
  });
});
