import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { publint } from 'publint';
import { checkoutRoot } from '../../lab/cache.js';
import { fetchNode, NODE_MAJORS } from '../../lab/node-versions.js';
import { cloneFresh, needsGit } from '../support/fresh-clone.js';
import { isOffline, type Ended } from '../support/registry.js';

/** What `npm pack --json` reports about a package, as far as it is used here. */
interface Pack {
  readonly filename: string;
  readonly files: readonly { readonly path: string; readonly mode: number }[];
}

const manifest = JSON.parse(readFileSync(join(checkoutRoot, 'package.json'), 'utf8')) as {
  version: string;
  man: string[];
  exports: Record<string, unknown>;
};

/** Prints for each cache file whether V8 rejects it. */
const TELL_REJECTED = `
  import { readFileSync } from 'node:fs';
  import { Script } from 'node:vm';
  const bin = 'node_modules/vdpa/bin';
  for (const name of process.argv.slice(1)) {
    const filename = bin + '/parts/' + name.replace(/-.*/, '');
    const cachedData = readFileSync(bin + '/cache/' + name);
    const { cachedDataRejected } = new Script(readFileSync(filename, 'latin1'), { filename, cachedData });
    console.log(name, cachedDataRejected);
  }`;

describe('the package that npm pack makes', needsGit, () => {
  const folder = mkdtempSync(join(tmpdir(), 'vdpa-package-'));
  const [source, user] = [join(folder, 'source'), join(folder, 'user')];
  let pack: Pack;

  before(() => {
    cloneFresh(source);
    symlinkSync(join(checkoutRoot, 'node_modules'), join(source, 'node_modules'));
    const { status, stdout, stderr } = run('npm', ['pack', '--json', '--pack-destination', folder], source);
    assert.equal(status, 0, stderr);
    [pack] = JSON.parse(stdout) as [Pack];
  });

  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  test('contains what is needed, and no development files', () => {
    const paths = pack.files.map(({ path }) => path);
    const docs = readdirSync(join(checkoutRoot, 'docs')).map((name) => `docs/${name}`);
    const needed = [
      'bin/vdpa.js',
      'dist/index.js',
      'dist/index.d.ts',
      'LICENSE',
      'README.md',
      ...docs,
      ...manifest.man,
    ];
    assert.deepEqual(
      needed.filter((path) => !paths.includes(path)),
      [],
    );
    const workshop = /^(src|test|lab|bench|scripts|build|node_modules)\//;
    assert.deepEqual(
      paths.filter((path) => workshop.test(path)),
      [],
    );
  });

  test('is one as npm and the tools of its users want it', async () => {
    const { buffer: tarball } = Uint8Array.from(readFileSync(join(folder, pack.filename)));
    const { messages } = await publint({ pack: { tarball }, strict: true });
    assert.deepEqual(messages, []);
  });

  describe('installed into an empty folder', () => {
    let installed: Ended;

    before(() => {
      mkdirSync(user);
      writeFileSync(join(user, 'package.json'), '{ "type": "module" }\n');
      const options = ['--prefer-offline', '--no-audit', '--no-fund'];
      installed = run('npm', ['install', ...options, join(folder, pack.filename)], user);
    });

    const vdpa = (...words: string[]) => run('node_modules/.bin/vdpa', words, user);
    const version = new RegExp(`\\b${manifest.version.replaceAll('.', '\\.')}\\b`);

    test('is a program', (context) => {
      if (isOffline(installed, context)) return;
      assert.equal(installed.status, 0, installed.stderr);
      assert.match(vdpa('-V').stdout, version);
      assert.match(vdpa('--sim', 'mgmtdev', 'show').stdout, /^vdpasim_net: $/m);
    });

    test('has the compiled code of each supported version of Node, which V8 accepts', async (context) => {
      if (isOffline(installed, context)) return;
      const packed = pack.files.map(({ path }) => path).filter((path) => path.startsWith('bin/cache/'));
      for (const major of NODE_MAJORS) {
        const { file, version } = await fetchNode(major);
        const own = packed.filter((path) => path.endsWith(`-${version}-${process.arch}`)).map((path) => basename(path));
        assert.deepEqual(
          own.map((name) => name.replace(/-.*/, '')),
          ['batch.js', 'changes.js', 'main.js', 'sim.js', 'socket.js'],
        );
        const { status, stdout, stderr } = run(file, ['--input-type=module', '-e', TELL_REJECTED, ...own], user);
        assert.deepEqual([status, stdout], [0, own.map((name) => `${name} false\n`).join('')], stderr);
      }
    });

    test('is a library', (context) => {
      if (isOffline(installed, context)) return;
      const script = "import('vdpa').then((library) => console.log(typeof library.VdpaClient))";
      assert.equal(run(process.execPath, ['-e', script], user).stdout, 'function\n');
    });

    for (const [moduleResolution, module] of [
      ['nodenext', 'nodenext'],
      ['bundler', 'esnext'],
    ] as const) {
      test(`its types compile in a new TypeScript project, every declaration checked, as ${moduleResolution}`, (context) => {
        if (isOffline(installed, context)) return;
        const entries = Object.keys(manifest.exports).filter((entry) => !entry.endsWith('.json'));
        const imports = entries.map((entry, at) => `import * as entry${at} from '${entry.replace('.', 'vdpa')}';`);
        const use = `console.log(${entries.map((_, at) => `entry${at}`).join(', ')});`;
        const client = 'const client: entry0.VdpaClient = await entry0.VdpaClient.open();\nawait client.close();';
        writeFileSync(join(user, 'program.ts'), [...imports, use, client, ''].join('\n'));
        const compilerOptions = {
          module,
          moduleResolution,
          target: 'es2022',
          lib: ['es2022'],
          strict: true,
          skipLibCheck: false,
          noEmit: true,
        };
        writeFileSync(join(user, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['program.ts'] }));
        const { status, stdout } = run(process.execPath, [join(checkoutRoot, 'node_modules/typescript/bin/tsc')], user);
        assert.deepEqual([status, stdout], [0, '']);
      });
    }

    test('without the native part of koffi, reports what is missing and how to get it; the simulation works', (context) => {
      if (isOffline(installed, context)) return;
      const reason = (): string => {
        const { status, stdout, stderr } = vdpa('dev', 'show');
        assert.deepEqual([status, stdout], [1, '']);
        assert.doesNotMatch(stderr, /This is a bug in vdpa/);
        assert.match(stderr, /^vdpa: Cannot call the C library: /);
        assert.match(stderr, /"--omit=optional"/);
        assert.match(vdpa('--sim', 'mgmtdev', 'show').stdout, /^vdpasim_net: $/m);
        return stderr;
      };
      // What --omit=optional omits.
      renameSync(join(user, 'node_modules/@koromix'), join(folder, 'koromix'));
      assert.match(reason(), /native Koffi module/);
      renameSync(join(user, 'node_modules/koffi'), join(folder, 'koffi'));
      assert.match(reason(), /Cannot find module 'koffi'/);
      const script =
        "import('vdpa').then((library) => library.VdpaClient.open()).catch((error) => console.log(error.name))";
      assert.equal(run(process.execPath, ['-e', script], user).stdout, 'MissingKoffiError\n');
    });
  });

  function run(file: string, argv: readonly string[], cwd: string): Ended & { readonly stdout: string } {
    const env = { ...process.env, VDPA_SIM_STATE: join(folder, 'state.json') };
    const { status, stdout, stderr } = spawnSync(file, argv, { cwd, env, encoding: 'utf8' });
    return { status, stdout, stderr };
  }
});
