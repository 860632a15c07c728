/** Common to `vdpa apply` and `vdpa restore`: a file, the machine, a plan, and the report of its execution. */
import { applyChanges, type Failure } from '../host/state/apply.js';
import { hasVduseDevice, readActualDevices } from '../host/state/actual.js';
import type { Change } from '../host/state/change.js';
import { refuseInUse } from '../host/state/in-use.js';
import { planPossible, type Plan, type PlanOptions } from '../host/state/plan.js';
import { messageOf } from '../host/state/reasons.js';
import { StateFileError, readDesiredState, type DesiredState } from '../host/state/desired.js';
import { formatChange, outcomes, renderOutcome, type Outcome, type OutcomeDetails } from '../render/plan.js';
import type { VdpaBus } from '../sysfs/bus.js';
import type { VduseServers } from '../vduse/daemon/servers.js';
import { IncompleteError, UsageError } from './error.js';
import { readText } from './input.js';
import { OutputError } from './io.js';
import { withStateLock, machineBus, managementCapacity, vduseServers } from './machine.js';
import { describeError } from './report.js';
import type { Session } from './session.js';
import { withSignals } from './signals.js';

/** The arguments after the file. */
export interface ApplyArguments {
  readonly dryRun: boolean;
  readonly prune: boolean;
  readonly force: boolean;
}

/**
 * Makes the devices of the machine match a file, and reports the changes. A plan with an impossible change is rejected
 * as a whole.
 * @param file its name; `-` for standard input
 * @throws UsageError, before anything is changed, if the file is invalid or its plan is impossible; IncompleteError if
 *   a change failed; InterruptedError
 */
export async function applyState(session: Session, file: string, args: ApplyArguments): Promise<void> {
  const desired = readFile(file);
  const { dryRun } = args;
  const run = async (): Promise<void> => {
    const work = await planWork(session, desired, args);
    const refused = work.plan.refusals.flatMap(({ reason }) => describeRefusal(reason));
    if (refused.length > 0) {
      if (session.options.json) renderOutcome(session.printer, [], { dryRun, refused });
      throw new UsageError(...refused);
    }
    if (dryRun) {
      const { changes } = work.plan;
      for (const change of changes) printLine(session, formatChange(change));
      printOutcome(
        session,
        changes.map((change) => [change, 'planned']),
        { dryRun },
        count(changes.length, 'to make'),
      );
      return;
    }
    await withSignals(async (signal) => {
      const report = await execute(session, work, { force: args.force, keepGoing: false, signal });
      const { changes, failures } = report;
      const done = changes.filter(([, outcome]) => outcome === 'done').length;
      const summary =
        done === changes.length
          ? count(done, 'made')
          : `${done} of ${changes.length} changes made; run the command again to continue.`;
      printOutcome(session, changes, { dryRun, lost: hasLostDevices(failures), ...errorOf(report) }, summary);
      throwFailures(session, report, failures.flatMap(describeFailure));
    });
  };
  return dryRun ? run() : withStateLock(session, run);
}

/** The errors of a report, for its JSON document. */
export function errorOf({ failures, stopped }: Report): { readonly error?: string } {
  const lines = [...failures.flatMap(describeFailure), ...(stopped === undefined ? [] : describeError(stopped))];
  return lines.length === 0 ? {} : { error: lines.join('\n') };
}

/**
 * Throws if a change failed, or what stopped the others.
 * @param lines what failed, human-readable
 * @throws IncompleteError; whatever stopped the others
 */
export function throwFailures(session: Session, { failures, stopped }: Report, lines: readonly string[]): void {
  if (lines.length === 0 && stopped === undefined) return;
  const incomplete = new IncompleteError(lines, { cause: failures[0]?.error });
  if (stopped === undefined) throw incomplete;
  if (lines.length > 0) session.io.stderr(`${incomplete.message}\n`);
  throw stopped;
}

const count = (changes: number, what: string): string =>
  changes === 0 ? 'Nothing to change.' : `${changes} ${changes === 1 ? 'change' : 'changes'} ${what}.`;

/** Ends the report. @throws OutputError */
export function printOutcome(
  session: Session,
  changes: Report['changes'],
  details: OutcomeDetails,
  summary: string,
): void {
  if (session.options.json) renderOutcome(session.printer, changes, details);
  else session.io.stdout(`${summary}\n`);
}

/** @throws UsageError if the file cannot be read or is invalid */
export function readFile(file: string): DesiredState {
  try {
    return readDesiredState(readText(file), file === '-' ? 'standard input' : file);
  } catch (error) {
    if (error instanceof StateFileError) throw new UsageError(error.message);
    throw error;
  }
}

/** A plan, and what is needed to execute it. */
export interface Work {
  readonly plan: Plan;
  readonly bus: VdpaBus;
  readonly servers: VduseServers | undefined;
}

/**
 * Reads the state of the machine and plans the changes.
 * @param signal ends the wait for a server that is being replaced
 */
export async function planWork(
  session: Session,
  desired: DesiredState,
  options: PlanOptions,
  signal?: AbortSignal,
): Promise<Work> {
  const client = await session.client();
  const bus = await machineBus(session);
  const actual = await readActualDevices(client, bus);
  const devices = actual.map(({ device }) => device);
  const servers = hasVduseDevice([...devices, ...desired.devices]) ? await vduseServers(session) : undefined;
  const actualState = {
    managementDevices: await client.managementDevices(),
    drivers: bus.drivers(),
    accounts: await import('../sys/accounts.js'),
    instances: (await servers?.list()) ?? [],
    capacityOf: await managementCapacity(session),
  };
  const plan = planPossible(desired, actual, actualState, options);
  return { plan: options.force === true ? plan : await refuseInUse(bus, plan, signal, servers), bus, servers };
}

/** The outcome of the changes. */
export interface Report {
  readonly changes: readonly (readonly [Change, Outcome])[];
  readonly failures: readonly Failure[];
  /** Why changes were not started, other than a failure: an InterruptedError, for example. */
  readonly stopped?: Error;
}

/** How changes are executed. */
export interface ExecuteOptions {
  readonly force: boolean;
  /** Continue after a change that failed. */
  readonly keepGoing: boolean;
  /** Stops between two changes. */
  readonly signal: AbortSignal;
}

/** Executes the changes, and prints each one. A closed standard output does not stop it. */
export async function execute(
  session: Session,
  { plan, bus, servers }: Work,
  { force, keepGoing, signal }: ExecuteOptions,
): Promise<Report> {
  const client = await session.client();
  const changes: (readonly [Change, Outcome])[] = [];
  const failures: Failure[] = [];
  const onDone = (change: Change): void => {
    printLine(session, formatChange(change));
  };
  const options = { force, signal, onDone, ...(servers && { servers }) };
  let left = plan.changes;
  for (;;) {
    const result = await applyChanges(client, bus, left, options);
    changes.push(...outcomes(result));
    ({ left } = result);
    if (!result.failed) break;
    failures.push(result.failed);
    printLine(session, `${formatChange(result.failed.change)}  (failed)`);
    if (!keepGoing) break;
  }
  for (const change of left) {
    changes.push([change, 'left']);
    printLine(session, `${formatChange(change)}  (not started)`);
  }
  const reason: unknown = signal.reason;
  return { changes, failures, ...(left.length > 0 && reason instanceof Error && { stopped: reason }) };
}

/** Prints a line of text; JSON is one document at the end. */
function printLine(session: Session, line: string): void {
  if (session.options.json) return;
  try {
    session.io.stdout(`${line}\n`);
  } catch (error) {
    // The reader is gone, or the disk is full: reported at the end, when all is done.
    if (!(error instanceof OutputError)) throw error;
  }
}

/** Whether an existing device was lost. */
export function hasLostDevices(failures: readonly Failure[]): boolean {
  return failures.some(({ lost }) => lost.length > 0);
}

/** The failure and its consequences, human-readable. */
export function describeFailure({ change, error, undone, putBack, lost }: Failure): string[] {
  const back = [...(putBack ? [change.name] : []), ...undone.map(({ name }) => name)];
  const empty = putBack && change.action === 'replace' && change.losesMemory === true ? ', but empty' : '';
  return [
    ...describeRefusal(error),
    ...back.map((name) => `${name} was restored${name === change.name ? empty : ''}.`),
    ...lost.map((device) => `${device.name} was deleted and could not be restored: ${messageOf(device.error)}`),
  ];
}

/** Human-readable. */
export function describeRefusal(reason: unknown): string[] {
  return reason instanceof StateFileError ? [reason.message] : describeError(reason);
}
