import './inside.js';
import assert from 'node:assert/strict';
import { spawnSync, type SpawnSyncOptions } from 'node:child_process';
import { encodeText } from '../../../../src/netlink/text-encoding.js';
import { json, output, vdpa } from '../../command-line.js';
import { withoutExplanation } from '../../explanation.js';
import { needs, SIMULATORS } from './needs.js';

const REFERENCE = '/run/bin/vdpa-iproute2';
const OURS = '/run/bin/vdpa';

/** The outcome of a command line. The texts have one character per byte, so comparing them compares bytes. */
export interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * An option for tests that compare with iproute2's vdpa, on devices of the simulators: skips them if the machine or its kernel
 * lacks these.
 */
export const needsReference = needs('vdpa-iproute2', ...SIMULATORS);

/** Runs iproute2's vdpa. Its argv[0] is `vdpa`, which getopt prints in its messages. */
export function reference(argv: readonly string[], environment: NodeJS.ProcessEnv = {}): Result {
  const env = { ...process.env, ...environment };
  if (!argv.some((word) => /\p{Surrogate}/u.test(word))) return start([REFERENCE, ...argv], { argv0: 'vdpa', env });
  // Node passes only UTF-8 to programs; bash passes any bytes.
  const words = argv.map((word) => `$'${[...encodeText(word)].map((byte) => `\\x${byte.toString(16)}`).join('')}'`);
  return start(['bash', '-c', `exec -a vdpa ${REFERENCE} ${words.join(' ')}`], { env });
}

/** Runs ours in this process, which saves a tenth of a second compared with a separate one. */
export async function ours(argv: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Result> {
  const { status, stdout, stderr } = await vdpa(argv, { env });
  return { status, stdout: bytes(stdout), stderr: bytes(stderr) };
}

/** Runs both programs, each started by `wrapper`: setpriv, unshare … Nothing is done to the devices in between. */
export function startBoth(
  argv: readonly string[],
  wrapper: readonly string[] = [],
): { expected: Result; actual: Result } {
  return { expected: start([...wrapper, REFERENCE, ...argv]), actual: start([...wrapper, OURS, ...argv]) };
}

/**
 * Runs a command line with iproute2's vdpa and with ours, both with the same devices: only those that the lines of `given` add.
 * Both must print the same bytes, exit with the same status, and leave the same devices.
 *
 * @param line split at blanks, or a list that is used as is
 * @returns the result of both
 */
export async function same(line: string | readonly string[], given: readonly string[] = []): Promise<Result> {
  const argv = typeof line === 'string' ? line.split(' ') : line;
  await startFrom(given);
  const expected = { ...reference(argv), devices: devices() };
  await startFrom(given);
  const actual = { ...withoutExplanation(await ours(argv)), devices: devices() };
  assert.deepEqual(actual, expected, `vdpa ${argv.join(' ')}`);
  return actual;
}

/** Deletes all devices, and runs command lines that must succeed. */
export async function startFrom(lines: readonly (string | readonly string[])[]): Promise<void> {
  const { dev } = (await json('dev show')) as { dev: Record<string, unknown> };
  for (const name of Object.keys(dev)) await output(['dev', 'del', name]);
  for (const line of lines) await output(line);
}

/** The existing devices, according to iproute2's vdpa. */
const devices = (): string => reference(['-jp', 'dev', 'show']).stdout;

function start([file = '', ...argv]: readonly string[], options: SpawnSyncOptions = {}): Result {
  const { status, stdout, stderr, error } = spawnSync(file, argv, {
    maxBuffer: 2 ** 26,
    ...options,
    encoding: 'buffer',
  });
  if (error) throw error;
  return { status, stdout: stdout.toString('latin1'), stderr: stderr.toString('latin1') };
}

const bytes = (text: string): string => Buffer.from(encodeText(text)).toString('latin1');
