/** `vdpa restore`: creates the devices of a file, as soon as that is possible. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Failure } from '../host/state/apply.js';
import type { Refusal } from '../host/state/plan.js';
import type { DesiredState } from '../host/state/desired.js';
import { GenlFamilyNotFoundError } from '../netlink/error.js';
import {
  execute,
  printOutcome,
  describeFailure,
  describeRefusal,
  hasLostDevices,
  planWork,
  throwFailures,
  readFile,
  type Report,
} from './apply-state.js';
import type { InterruptedError } from './error.js';
import { withStateLock } from './machine.js';
import type { Session } from './session.js';

/** The interval of checks for what is still missing, in milliseconds. */
const pollMs = 250;

/**
 * Creates the devices of a file as far as possible, and reports the others.
 * @param waitSeconds how long to wait for missing management devices, drivers and servers of other programs
 * @throws UsageError if the file is invalid; IncompleteError if not all devices match it; InterruptedError;
 *   GenlFamilyNotFoundError if the kernel has no vdpa family in time
 */
export async function restoreState(session: Session, file: string, waitSeconds: number): Promise<void> {
  const desired = readFile(file);
  const deadline = performance.now() + waitSeconds * 1000;
  const isTimeLeft = (): boolean => performance.now() < deadline;
  const changes: Report['changes'][number][] = [];
  const failures: Failure[] = [];
  let refusals: readonly Refusal[] = [];
  let interrupted: InterruptedError | undefined;
  let told = false;
  for (;;) {
    const round = await restoreOnce(session, without(desired, failures), isTimeLeft);
    if (round) {
      changes.push(...round.report.changes);
      failures.push(...round.report.failures);
      ({ refusals } = round);
      ({ interrupted } = round.report);
    }
    const awaited = refusals.filter(({ isTransient }) => isTransient);
    if (interrupted || !isTimeLeft() || (round && awaited.length === 0)) break;
    if (!told) printWait(session, awaited, waitSeconds);
    told = true;
    await sleep(Math.min(pollMs, Math.max(0, deadline - performance.now())));
  }
  finish(session, { changes, failures, interrupted }, refusals);
}

/** @returns undefined while the kernel has no vdpa family */
async function restoreOnce(
  session: Session,
  desired: DesiredState,
  isTimeLeft: () => boolean,
): Promise<{ readonly report: Report; readonly refusals: readonly Refusal[] } | undefined> {
  try {
    return await withStateLock(session, async () => {
      const work = await planWork(session, desired, { prune: false });
      const report = await execute(session, work, { force: false, keepGoing: true });
      return { report, refusals: work.plan.refusals };
    });
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
function finish(session: Session, { changes, failures, interrupted }: Report, refusals: readonly Refusal[]): void {
  const refused = refusals.flatMap(({ reason }) => describeRefusal(reason));
  const failed = failures.flatMap(describeFailure);
  const done = changes.filter(([, outcome]) => outcome === 'done').length;
  const missing = [...new Set([...failures.map(({ change }) => change.name), ...refusals.map(({ name }) => name)])];
  const made = done === 1 ? '1 change made' : `${done} changes made`;
  const all = changes.length === 0 ? 'Nothing to change.' : `${made}.`;
  const error = [...failed, ...(interrupted ? [interrupted.message] : [])].join('\n');
  const details = { dryRun: false, lost: hasLostDevices(failures), refused, ...(error !== '' && { error }) };
  printOutcome(session, changes, details, missing.length === 0 ? all : `${made}; not restored: ${missing.join(', ')}.`);
  throwFailures(session, { failures, interrupted }, [...failed, ...refused]);
}
