// npm test [-- [--machine NAME] [PATTERN]]: installs what is missing, builds, lints, type-checks, checks the reference of the
// library, and runs all tests, those on the lab's real kernels too. With PATTERN only the test files whose path contains
// it, and nothing before. With --machine, or VDPA_LAB_MACHINE, all tests on a kernel run on this machine of the lab, and on
// no other.
// npm run test:unit: the tests that need no kernel, and nothing before.
// Without PATTERN the tests that need no kernel measure the lines that they cover; each folder of src/ must reach its
// floor (scripts/coverage.mjs).
// npm run test:long [-- [--machine NAME] [PATTERN]]: the tests on a kernel that take too long for npm test.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { checkFloors, formatCoverage, readCoverage } from './coverage.mjs';
import { build, endOnSignals, ensureModules, root, runNode, say, tool } from './project.mjs';

endOnSignals();
const { machine, long, unit, pattern } = parse(process.argv.slice(2));
ensureModules();
build();
if (pattern === '' && !long && !unit && !(await check())) process.exit(1);

const files = readdirSync(join(root, 'build/test'), { recursive: true })
  .filter((name) => name.endsWith('.test.js') && !name.startsWith('kernel/'))
  .sort();
const { kernelTestFiles } = await import('../build/test/support/kernel/lab/files.js');
const { MACHINE_KINDS } = await import('../build/lab/machine/machine.js');
if (machine !== undefined && !MACHINE_KINDS.includes(machine)) {
  say(`Unknown machine "${machine}"; expected ${MACHINE_KINDS.join(', ')}`);
  process.exit(1);
}
// The tests of test/kernel/ run inside the lab; outside, lab.test.js represents them.
const kernelFiles = unit ? [] : kernelTestFiles({ pattern, machine, long });
const chosen = long
  ? []
  : files.filter((name) => join('test', name).replace(/js$/, 'ts').includes(pattern) && (!unit || needsNoKernel(name)));
if (kernelFiles.length > 0 && !chosen.includes('lab.test.js')) chosen.push('lab.test.js');
if (chosen.length === 0) {
  say(`No test file's path contains "${pattern}"`);
  process.exit(1);
}
const env = {
  ...process.env,
  VDPA_TEST_PATTERN: pattern,
  VDPA_TEST_LONG: long ? '1' : '',
  VDPA_LAB_MACHINE: machine ?? '',
};
delete env.NODE_EXTRA_CA_CERTS;
const needed = chosen.some((name) => name.startsWith('lab/') || (name === 'lab.test.js' && kernelFiles.length === 0))
  ? MACHINE_KINDS.filter((kind) => machine === undefined || kind === machine)
  : MACHINE_KINDS.filter((kind) => kernelFiles.some((file) => file.machine === kind));
const lab = await import('../build/lab/setup.js');
const extras = ['vduse', 'shells'];
const missing = await lab.provideFor(needed, extras).catch(reportLabError);
for (const kind of needed) Object.assign(env, await prepareLab(kind));

// With a pattern, coverage says little.
const measured = pattern === '' ? chosen.filter(needsNoKernel) : [];
const others = chosen.filter((name) => !measured.includes(name));
for (const passed of [await runMeasured(measured), await run(others)]) if (!passed) process.exitCode = 1;

/** Whether a test neither boots machines of the lab nor installs npm packages, which takes as long as all the others. */
function needsNoKernel(name) {
  return name !== 'lab.test.js' && !name.startsWith('lab/') && !name.startsWith('package/');
}

/** Runs test files, if there are any. @returns whether all tests passed */
async function run(names, variables = {}, options = []) {
  if (names.length === 0) return true;
  const { status } = await runNode(['--test', ...options, ...names.map((name) => join('build/test', name))], {
    env: { ...env, ...variables },
  });
  return status === 0;
}

/** Runs test files, and reports which lines of src/ they run. @returns whether all tests passed and all floors are reached */
async function runMeasured(names) {
  if (names.length === 0) return true;
  const directory = mkdtempSync(join(tmpdir(), 'vdpa-coverage-'));
  try {
    // By default Node leaves a processor unused; one file more than there are processors fills the time in which tests wait.
    const concurrency = `--test-concurrency=${availableParallelism() + 1}`;
    const passed = await run(names, { NODE_V8_COVERAGE: directory }, [concurrency]);
    const coverage = readCoverage(directory);
    say(formatCoverage(coverage));
    const missed = checkFloors(coverage);
    for (const line of missed) say(line);
    return passed && missed.length === 0;
  } finally {
    rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
  }
}

/** Lints, checks the format, the types and the reference of the library, at once; says what fails. */
async function check() {
  const checks = {
    eslint: [tool('eslint', 'bin/eslint.js'), '.'],
    prettier: [tool('prettier', 'bin/prettier.cjs'), '--log-level=warn', '--check', '.'],
    tsc: [tool('typescript', 'bin/tsc'), '--noEmit', '-p', 'tsconfig.json'],
    // Whether the reference of the library lacks anything; the types are tsc's.
    typedoc: [tool('typedoc', 'bin/typedoc'), '--emit', 'none', '--skipErrorChecking', '--logLevel', 'Warn'],
  };
  const names = Object.keys(checks);
  const start = Date.now();
  let done = 0;
  say(`Checking with ${names.join(', ')}`);
  const results = await Promise.all(
    Object.entries(checks).map(async ([name, args]) => {
      const result = { name, ...(await runNode(args, { take: true })) };
      say(`Checked ${++done} of ${names.length}: ${name}, ${Math.round((Date.now() - start) / 1000)} s`);
      return result;
    }),
  );
  const failed = results.filter(({ status }) => status !== 0);
  for (const { name, output } of failed) say(`${name} failed:\n${output}`);
  return failed.length === 0;
}

/**
 * Sets up a machine of the lab, and tells its tests the outcome: why they are skipped if this host does not support it, or what
 * failed unexpectedly.
 */
async function prepareLab(kind) {
  try {
    const ready = await lab.prepareLab(extras, kind, missing);
    if (!('missing' in ready)) return {};
    say(`lab: the tests on ${kind} are left out: ${ready.missing}`);
    return { [`VDPA_LAB_LEFT_OUT_${kind.toUpperCase()}`]: ready.missing };
  } catch (error) {
    reportLabError(error);
    return { [`VDPA_LAB_PROBLEM_${kind.toUpperCase()}`]: error.message };
  }
}

/** Reports a LabError. @throws any other error */
function reportLabError(error) {
  if (error.name !== 'LabError') throw error;
  say(`lab: ${error.message}`);
}

/**
 * The arguments: a machine, if any, whether to run the long tests or those without a kernel, and the pattern, which may be empty.
 */
function parse(args) {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      machine: { type: 'string' },
      long: { type: 'boolean', default: false },
      unit: { type: 'boolean', default: false },
    },
  });
  const machine = values.machine ?? (process.env.VDPA_LAB_MACHINE || undefined);
  return { machine, long: values.long, unit: values.unit, pattern: positionals[0] ?? '' };
}
