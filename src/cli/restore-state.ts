/** `vdpa restore`: creates the devices of a file, as soon as that is possible. */
import type { Failure } from '../host/state/apply.js';
import type { Refusal } from '../host/state/plan.js';
import type { DesiredState } from '../host/state/desired.js';
import { GenlFamilyNotFoundError } from '../netlink/error.js';
import { sleep } from '../sys/wait.js';
import {
  execute,
  errorOf,
  printOutcome,
  describeFailure,
  describeRefusal,
  hasLostDevices,
  planWork,
  throwFailures,
  readFile,
  type Report,
} from './apply-state.js';
import { withStateLock } from './machine.js';
import type { Session } from './session.js';
import { withSignals } from './signals.js';

/** The interval of checks for what is still missing, in milliseconds. */
const pollMs = 250;

/** What was done, and why devices of the file are still missing. */
interface Progress {
  readonly report: Report;
  readonly refusals: readonly Refusal[];
}

/**
 * Creates the devices of a file as far as possible, and reports the others.
 * @param waitSeconds how long to wait for missing management devices, drivers and servers of other programs
 * @throws UsageError if the file is invalid; IncompleteError if not all devices match it; InterruptedError;
 *   GenlFamilyNotFoundError if the kernel has no vdpa family in time
 */
export async function restoreState(session: Session, file: string, waitSeconds: number): Promise<void> {
  const desired = readFile(file);
  await withSignals(async (signal) => {
    finish(session, await restoreInRounds(session, desired, waitSeconds, signal));
  });
}

/**
 * Creates what is possible, until nothing is missing that may still come.
 * @throws errors of the first round; later ones, and the signal, are part of the result
 */
async function restoreInRounds(
  session: Session,
  desired: DesiredState,
  waitSeconds: number,
  signal: AbortSignal,
): Promise<Progress> {
  const deadline = performance.now() + waitSeconds * 1000;
  const isTimeLeft = (): boolean => performance.now() < deadline;
  const changes: Report['changes'][number][] = [];
  const failures: Failure[] = [];
  let refusals: readonly Refusal[] = [];
  let told = false;
  const progress = (stopped?: Error): Progress => ({
    report: { changes, failures, ...(stopped && { stopped }) },
    refusals,
  });
  try {
    for (;;) {
      const round = await restoreOnce(session, without(desired, failures), isTimeLeft, signal);
      if (round) {
        changes.push(...round.report.changes);
        failures.push(...round.report.failures);
        ({ refusals } = round);
        if (round.report.stopped) return progress(round.report.stopped);
      }
      const awaited = refusals.filter(({ isTransient }) => isTransient);
      if (!isTimeLeft() || (round && awaited.length === 0)) return progress();
      if (!told) printWait(session, awaited, waitSeconds);
      told = true;
      await sleep(Math.min(pollMs, Math.max(0, deadline - performance.now())), signal);
    }
  } catch (error) {
    // Without a change there is nothing to report but the error.
    if (!(error instanceof Error) || (changes.length === 0 && error !== signal.reason)) throw error;
    return progress(error);
  }
}

/** @returns undefined while the kernel has no vdpa family */
async function restoreOnce(
  session: Session,
  desired: DesiredState,
  isTimeLeft: () => boolean,
  signal: AbortSignal,
): Promise<Progress | undefined> {
  const restore = async (): Promise<Progress> => {
    const work = await planWork(session, desired, { prune: false }, signal);
    const report = await execute(session, work, { force: false, keepGoing: true, signal });
    return { report, refusals: work.plan.refusals };
  };
  try {
    return await withStateLock(session, restore, signal);
  } catch (error) {
    if (error instanceof GenlFamilyNotFoundError && isTimeLeft()) return undefined;
    throw error;
  }
}

/** The state without the devices that failed: they are not tried again. */
function without(desired: DesiredState, failures: readonly Failure[]): DesiredState {
  const failed = new Set(failures.map(({ change }) => change.name));
  return { ...desired, devices: desired.devices.filter(({ name }) => !failed.has(name)) };
}

function printWait(session: Session, awaited: readonly Refusal[], seconds: number): void {
  const reasons = awaited.flatMap(({ reason }) => describeRefusal(reason));
  if (reasons.length === 0) reasons.push('the kernel has no vdpa netlink family');
  for (const reason of reasons) session.io.stderr(`Waiting for up to ${seconds} s: ${reason}\n`);
}

/** Reports what was done, and what failed. */
function finish(session: Session, { report, refusals }: Progress): void {
  const { changes, failures } = report;
  const refused = refusals.flatMap(({ reason }) => describeRefusal(reason));
  const done = changes.filter(([, outcome]) => outcome === 'done').length;
  const left = changes.filter(([, outcome]) => outcome === 'failed' || outcome === 'left');
  const missing = [...new Set([...left.map(([{ name }]) => name), ...refusals.map(({ name }) => name)])];
  const details = { dryRun: false, lost: hasLostDevices(failures), refused, ...errorOf(report) };
  const isAll = missing.length === 0 && report.stopped === undefined;
  const made = done === 1 ? '1 change made' : `${done} changes made`;
  const rest = missing.length === 0 ? '' : `; not restored: ${missing.join(', ')}`;
  printOutcome(session, changes, details, isAll && changes.length === 0 ? 'Nothing to change.' : `${made}${rest}.`);
  throwFailures(session, report, [...failures.flatMap(describeFailure), ...refused]);
}
