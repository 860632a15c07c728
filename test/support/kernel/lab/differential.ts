/** Many command lines, run with iproute2's vdpa and with ours. */
import assert from 'node:assert/strict';
import { mainHelp } from '../../../../src/cli/help.js';
import { lines, output } from '../../command-line.js';
import { withoutExplanation } from '../../explanation.js';
import { ours, reference, startFrom, type Result } from './compare.js';
import { withFeatureNames } from './feature-names.js';

/** A command line: split at blanks, or a list that is used as is. */
export type Line = string | readonly string[];

/** The words of a line. */
export const wordsOf = (line: Line): readonly string[] => (typeof line === 'string' ? line.split(' ') : line);

/** How many lines have been compared. */
export let compared = 0;

/**
 * Runs lines that change nothing, each with both programs, on the existing devices. Both must have the same result.
 * @throws AssertionError that lists all lines for which they do not
 */
export async function compareReading(all: Iterable<Line>, environment: NodeJS.ProcessEnv = {}): Promise<void> {
  const before = await state();
  const differences: object[] = [];
  for (const line of all) {
    const argv = wordsOf(line);
    const expected = adapt(reference(argv, environment), argv);
    const actual = withoutExplanation(await ours(argv, environment));
    compared++;
    if (!isSame(actual, expected)) differences.push({ argv, expected, actual });
  }
  report(differences);
  assert.equal(await state(), before, 'lines that should only read have changed something');
}

/**
 * Runs lines that may change something, each with both programs and the same devices: those that `given` adds. Both must have the
 * same result and leave the same devices.
 * @throws AssertionError that lists all lines for which they do not
 */
export async function compareChanging(all: Iterable<Line>, given: readonly string[] = []): Promise<void> {
  const differences: object[] = [];
  for (const line of all) {
    const argv = wordsOf(line);
    await startFrom(given);
    const expected = { ...adapt(reference(argv), argv), left: await state() };
    await startFrom(given);
    const actual = { ...withoutExplanation(await ours(argv)), left: await state() };
    compared++;
    if (!isSame(actual, expected)) differences.push({ argv, expected, actual });
  }
  report(differences);
}

function report(differences: readonly object[]): void {
  if (differences.length === 0) return;
  assert.fail(
    `${differences.length} lines differ:\n${differences.map((one) => JSON.stringify(one, null, 1)).join('\n')}`,
  );
}

/** The devices and their configuration. */
async function state(): Promise<string> {
  return (await output('dev show')) + (await output('dev config show'));
}

function isSame(a: object, b: object): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

const theirMainHelp = lines(
  'Usage: vdpa [ OPTIONS ] OBJECT { COMMAND | help }',
  'where  OBJECT := { mgmtdev | dev }',
  '       OPTIONS := { -V[ersion] | -n[o-nice-names] | -j[son] | -p[retty] }',
);

/**
 * The expected result of ours, considering three rows of docs/differences.md that affect many lines: with -j there is always a
 * document, the main help lists more, and more features have names. (Each has its own test.)
 */
function adapt({ status, stdout, stderr }: Result, argv: readonly string[]): Result {
  const isJson = argv.some((word) => /^(-[jp]*j|--j)/.test(word));
  return {
    status,
    stdout: isJson && stdout === '\n' ? '{}\n' : withFeatureNames(stdout),
    stderr: stderr.replace(theirMainHelp, lines(...mainHelp())),
  };
}
