import { applyChanges } from '../host/state/apply.js';
import { hasVduseDevice, readActualDevices } from '../host/state/actual.js';
import { planChanges, type Change } from '../host/state/plan.js';
import { StateFileError, readWantedState, type WantedState } from '../host/state/wanted.js';
import { formatChange, outcomes, renderOutcome, type Outcome } from '../render/plan.js';
import type { VdpaBus } from '../sysfs/bus.js';
import type { VduseServers } from '../vduse/service/servers.js';
import { UsageError } from './error.js';
import { readText } from './input.js';
import { machineBus, vduseServers } from './machine.js';
import type { Session } from './session.js';

/** What the words behind the file say. */
export interface ApplyWords {
  readonly dryRun: boolean;
  readonly prune: boolean;
  readonly force: boolean;
}

/**
 * Makes the machine's devices those of a file, and tells what that took.
 * @param file its name; `-` for standard input
 * @throws UsageError, before anything is changed, where the file is not right or asks for what the machine has not;
 *   whatever made a change fail
 */
export async function applyState(session: Session, file: string, words: ApplyWords): Promise<void> {
  const wanted = explain(() => readWantedState(readText(file), file === '-' ? 'standard input' : file));
  const client = await session.client();
  const bus = session.options.sim ? undefined : await machineBus(session);
  const { changes, servers } = await plan(wanted, session, bus, words);
  if (words.dryRun) {
    tell(
      session,
      changes.map((change) => [change, 'planned']),
      { dryRun: true },
    );
    return;
  }
  const result = await applyChanges(client, bus, changes, { force: words.force, ...(servers && { servers }) });
  const { failed } = result;
  const error = failed && (failed.error instanceof Error ? failed.error.message : String(failed.error));
  tell(session, outcomes(result), { dryRun: false, ...(error !== undefined && { error }) });
  if (failed) throw failed.error;
}

async function plan(
  wanted: WantedState,
  session: Session,
  bus: VdpaBus | undefined,
  { prune }: ApplyWords,
): Promise<{ readonly changes: readonly Change[]; readonly servers: VduseServers | undefined }> {
  const client = await session.client();
  const actual = await readActualDevices(client, bus);
  const managementDevices = await client.managementDevices();
  const devices = actual.map(({ device }) => device);
  const servers = hasVduseDevice([...devices, ...wanted.devices]) ? await vduseServers(session) : undefined;
  const surroundings = { managementDevices, drivers: bus?.drivers(), instances: (await servers?.list()) ?? [] };
  return { changes: explain(() => planChanges(wanted, actual, surroundings, { prune })), servers };
}

/** Gives what is wrong with the file as a refusal. */
function explain<Result>(task: () => Result): Result {
  try {
    return task();
  } catch (error) {
    if (error instanceof StateFileError) throw new UsageError(error.message);
    throw error;
  }
}

function tell(
  session: Session,
  changes: readonly (readonly [Change, Outcome])[],
  outcome: { readonly dryRun: boolean; readonly error?: string },
): void {
  if (session.options.json) {
    renderOutcome(session.printer, changes, outcome);
    return;
  }
  for (const [change, became] of changes) {
    const note = became === 'failed' || became === 'left' ? `  (${became === 'failed' ? 'failed' : 'not begun'})` : '';
    session.io.stdout(`${formatChange(change)}${note}\n`);
  }
  session.io.stdout(`${summarize(changes, outcome)}\n`);
}

function summarize(changes: readonly (readonly [Change, Outcome])[], { dryRun }: { readonly dryRun: boolean }): string {
  if (changes.length === 0) return 'Nothing to change.';
  const noun = changes.length === 1 ? 'change' : 'changes';
  if (dryRun) return `${changes.length} ${noun} to make.`;
  const done = changes.filter(([, outcome]) => outcome === 'done').length;
  if (done === changes.length) return `${done} ${noun} made.`;
  return `${done} of ${changes.length} changes made; say it again to go on from there.`;
}
