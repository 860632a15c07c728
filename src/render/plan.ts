import type { ApplyResult } from '../host/state/apply.js';
import type { Change, NewDevice } from '../host/state/change.js';
import type { ServerStart } from '../host/state/servers.js';
import { formatArguments } from '../vduse/spec/arguments.js';
import { renderRows, type Printer } from './printer.js';

const signs = { add: '+', delete: '-', replace: '!', serve: '~', set: '~', bind: '~' } as const;

/** One change as a line: `+ foo0 mgmtdev vdpasim_net mtu 9000`, `~ foo0 mac 00:… -> 02:…`, `- bar0`. */
export function formatChange(change: Change): string {
  const words = [signs[change.action], change.name];
  switch (change.action) {
    case 'add': {
      words.push(...wordsOfAddition(change.device, change.start));
      break;
    }
    case 'delete':
      break;
    default:
      for (const { key, from, to } of change.differences) words.push(key, from, '->', to);
  }
  return words.join(' ');
}

function wordsOfAddition({ spec, driver, node }: NewDevice, start: ServerStart | undefined): string[] {
  const { managementDevice, mac, mtu, maxVirtqueuePairs, features } = spec;
  const words = ['mgmtdev', managementDevice];
  if (start?.how === 'start') {
    // Address and MTU are among the arguments of the server; the first two are the name again.
    words.push(...formatArguments(start.device).slice(2));
  } else {
    if (mac) words.push('mac', mac);
    if (mtu !== undefined) words.push('mtu', `${mtu}`);
  }
  if (maxVirtqueuePairs !== undefined) words.push('max_vqp', `${maxVirtqueuePairs}`);
  if (features !== undefined) words.push('device_features', `0x${features.toString(16)}`);
  if (driver !== undefined) words.push('driver', driver ?? '(none)');
  words.push(...Object.entries(node?.entry ?? {}).flat());
  return words;
}

/** The result of a change: `planned` if it was only printed, `left` if an earlier one failed, `undone` with it. */
export type Outcome = 'planned' | 'done' | 'undone' | 'failed' | 'left';

/** Every change that was started, with its result. */
export function outcomes(result: ApplyResult): (readonly [Change, Outcome])[] {
  return [
    ...result.done.map((change) => [change, 'done'] as const),
    ...(result.failed?.undone ?? []).map((change) => [change, 'undone'] as const),
    ...(result.failed ? ([[result.failed.change, 'failed']] as const) : []),
  ];
}

/** Additional information on a plan and its result. */
export interface OutcomeDetails {
  readonly dryRun: boolean;
  /** An existing device is missing although the change that removed it failed. */
  readonly lost?: boolean;
  /** Why a change failed. */
  readonly error?: string;
  /** Why devices cannot be made to match the file. */
  readonly refused?: readonly string[];
}

/**
 * Prints a plan and its result as one JSON document. `changed` says whether the machine was changed, or with `dryRun`
 * would be.
 */
export function renderOutcome(
  printer: Printer,
  changes: readonly (readonly [Change, Outcome])[],
  { dryRun, lost = false, error, refused = [] }: OutcomeDetails,
): void {
  printer.openRow();
  printer.boolean('changed', lost || changes.some(([, outcome]) => outcome === 'done' || outcome === 'planned'), '');
  printer.boolean('dry_run', dryRun, ' ');
  renderRows(printer, 'changes', changes, ([change, outcome]) => {
    printer.string('action', change.action, '');
    printer.string('name', change.name, ' ');
    printer.string('outcome', outcome, ' ');
    if ('differences' in change) {
      renderRows(printer, 'differences', change.differences, ({ key, from, to }) => {
        printer.string('key', key, '');
        printer.string('from', from, ' ');
        printer.string('to', to, ' ');
      });
    }
  });
  if (refused.length > 0) {
    printer.openList('refused');
    for (const reason of refused) printer.item(reason);
    printer.closeList();
  }
  if (error !== undefined) printer.string('error', error, '');
  printer.closeRow();
}
