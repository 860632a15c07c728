/** `vdpa restore`: what can be made of a file, once it can be. */
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

/** How often is looked for what did not come yet, in milliseconds. */
const pollMs = 250;

/**
 * Makes the devices of a file that can be made, and says which cannot.
 * @param waitSeconds how long to wait for management devices, drivers and other programs' servers that are not there yet
 * @throws UsageError where the file is not right; IncompleteError where not all devices are as they are wanted;
 *   InterruptedError; GenlFamilyNotFoundError where the kernel has no vdpa and gets none
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

/** @returns undefined where the kernel has no vdpa yet */
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

/** What failed once is not tried again and again. */
function without(desired: DesiredState, failures: readonly Failure[]): DesiredState {
  const failed = new Set(failures.map(({ change }) => change.name));
  return { ...desired, devices: desired.devices.filter(({ name }) => !failed.has(name)) };
}

function printWait(session: Session, awaited: readonly Refusal[], seconds: number): void {
  const reasons = awaited.flatMap(({ reason }) => describeRefusal(reason));
  if (reasons.length === 0) reasons.push('the kernel has no vdpa netlink family');
  for (const reason of reasons) session.io.stderr(`Waiting for up to ${seconds} s: ${reason}\n`);
}

/** Says what was done, and what could not be. */
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
