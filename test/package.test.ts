import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { checkoutRoot } from '../lab/cache.js';

/** What `npm pack --json` tells of a package, as far as it is used here. */
interface Pack {
  readonly filename: string;
  readonly files: readonly { readonly path: string; readonly mode: number }[];
}

const { version, man } = JSON.parse(readFileSync(join(checkoutRoot, 'package.json'), 'utf8')) as {
  version: string;
  man: string[];
};

describe('the package that npm pack makes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vdpa-package-'));
  const [source, user] = [join(folder, 'source'), join(folder, 'user')];
  let pack: Pack;

  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  test('is built from the sources alone', () => {
    const made = ['.git', 'node_modules', 'bin', 'dist', 'build'].map((name) => join(checkoutRoot, name));
    cpSync(checkoutRoot, source, { recursive: true, filter: (path) => !made.includes(path) });
    symlinkSync(join(checkoutRoot, 'node_modules'), join(source, 'node_modules'));
    [pack] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', folder], source)) as [Pack];
  });

  test('holds what is needed, and nothing of the workshop', () => {
    const paths = pack.files.map(({ path }) => path);
    for (const path of ['bin/vdpa.js', 'dist/index.js', 'dist/index.d.ts', 'LICENSE', 'README.md', ...man]) {
      assert.ok(paths.includes(path), `${path} is not in the package`);
    }
    const workshop = /^(src|test|lab|bench|scripts|build|node_modules)\//;
    assert.deepEqual(
      paths.filter((path) => workshop.test(path)),
      [],
    );
  });

  test('installs into an empty folder and works there', () => {
    mkdirSync(user);
    run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', join(folder, pack.filename)], user);
    assert.match(run('node_modules/.bin/vdpa', ['-V'], user), new RegExp(`\\b${version.replaceAll('.', '\\.')}\\b`));
    const env = { ...process.env, VDPA_SIM_STATE: join(folder, 'state.json') };
    assert.match(run('node_modules/.bin/vdpa', ['--sim', 'mgmtdev', 'show'], user, env), /^vdpasim_net: $/m);
  });

  test('is a library too', () => {
    const script = "import('vdpa').then((library) => console.log(typeof library.VdpaClient))";
    assert.equal(run(process.execPath, ['-e', script], user), 'function\n');
  });
});

/** Runs a program that must succeed; gives its standard output. */
function run(file: string, argv: readonly string[], cwd: string, env = process.env): string {
  return execFileSync(file, argv, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
