// npm test [-- PATTERN]: installs what is missing, builds, lints, type-checks, and runs all tests, those on the lab's
// real kernel too. With PATTERN only the test files whose path contains it, and no lint and type check before.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { build, endOnSignals, ensureModules, root, runNode, say, tool } from './project.mjs';

endOnSignals();
const pattern = process.argv[2] ?? '';
ensureModules();
build();
if (pattern === '' && !(await check())) process.exit(1);

const files = readdirSync(join(root, 'build/test'), { recursive: true })
  .filter((name) => name.endsWith('.test.js'))
  .sort();
const kernelFiles = files.filter((name) => name.startsWith('kernel/'));
const matches = (name) => join('test', name).replace(/js$/, 'ts').includes(pattern);
// The tests of test/kernel/ run inside the lab; outside, lab.test.js stands for them.
const chosen = files.filter((name) => !kernelFiles.includes(name) && matches(name));
const env = { ...process.env, VDPA_TEST_PATTERN: pattern };
delete env.NODE_EXTRA_CA_CERTS;
const inLab = kernelFiles.some(matches);
if (inLab && !chosen.includes('lab.test.js')) chosen.push('lab.test.js');
if (chosen.length === 0) {
  say(`No test file's path contains "${pattern}"`);
  process.exit(1);
}
if (chosen.some((name) => name.startsWith('lab'))) Object.assign(env, await prepareLab());

const { status } = await runNode(['--test', ...chosen.map((name) => join('build/test', name))], { env });
process.exitCode = status;

/** Lints, checks the format and the types, at once; says what fails. */
async function check() {
  const checks = {
    eslint: [tool('eslint', 'bin/eslint.js'), '.'],
    prettier: [tool('prettier', 'bin/prettier.cjs'), '--log-level=warn', '--check', '.'],
    tsc: [tool('typescript', 'bin/tsc'), '--noEmit', '-p', 'tsconfig.json'],
  };
  const results = await Promise.all(
    Object.entries(checks).map(async ([name, args]) => ({ name, ...(await runNode(args, { take: true })) })),
  );
  const failed = results.filter(({ status }) => status !== 0);
  for (const { name, output } of failed) say(`${name} failed:\n${output}`);
  return failed.length === 0;
}

/**
 * Makes the lab ready, and tells its tests how that went: why they are left out where this machine cannot have it, or
 * what failed that should have worked.
 */
async function prepareLab() {
  const lab = await import('../build/lab/setup.js');
  try {
    const ready = await lab.prepareLab(['vduse', 'shells']);
    if (!('missing' in ready)) return {};
    say(`lab: its tests are left out: ${ready.missing}`);
    return { VDPA_LAB_LEFT_OUT: ready.missing };
  } catch (error) {
    if (error.name !== 'LabError') throw error;
    say(`lab: ${error.message}`);
    return { VDPA_LAB_PROBLEM: error.message };
  }
}
