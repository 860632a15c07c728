// Builds everything from src/:
//   bin/          the bundled executable
//   dist/         the library, one module per file, with its type declarations
//   build/        src, test, lab and bench as plain modules, for the tests (only with --dev; no declarations)
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';
import { buildOptions, bundle } from './bundle.mjs';
import { root } from './project.mjs';
import { compileSchemas } from './schemas.mjs';

const dev = process.argv.includes('--dev');
const common = buildOptions();

rmSync(join(root, dev ? 'build' : 'dist'), { recursive: true, force: true });

compileSchemas(root);
await bundle(join(root, 'bin'), common);

if (dev) {
  await build({
    ...common,
    entryPoints: ['src', 'test', 'lab', 'bench']
      .filter((folder) => existsSync(join(root, folder)))
      .map((folder) => `${folder}/**/*.ts`),
    outdir: 'build',
    outbase: '.',
    sourcemap: true,
  });
} else {
  await build({ ...common, entryPoints: ['src/**/*.ts'], outdir: 'dist', outbase: 'src' });
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
  const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(1);
}
