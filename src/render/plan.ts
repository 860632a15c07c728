import type { ApplyResult } from '../host/state/apply.js';
import type { Change } from '../host/state/plan.js';
import { formatHandle } from '../vdpa/model.js';
import { formatMac } from '../virtio/mac-address.js';
import type { Printer } from './printer.js';

const signs = { add: '+', delete: '-', replace: '!', set: '~', bind: '~' } as const;

/** One change as a line: `+ foo0 mgmtdev vdpasim_net mtu 9000`, `~ foo0 mac 00:… -> 02:…`, `- bar0`. */
export function formatChange(change: Change): string {
  const words = [signs[change.action], change.name];
  switch (change.action) {
    case 'add': {
      const { spec, driver } = change.device;
      words.push('mgmtdev', formatHandle(spec.managementDevice));
      if (spec.mac) words.push('mac', formatMac(spec.mac));
      if (spec.mtu !== undefined) words.push('mtu', `${spec.mtu}`);
      if (spec.maxVirtqueuePairs !== undefined) words.push('max_vqp', `${spec.maxVirtqueuePairs}`);
      if (spec.features !== undefined) words.push('device_features', `0x${spec.features.toString(16)}`);
      if (driver !== undefined) words.push('driver', driver ?? '(none)');
      break;
    }
    case 'delete':
      break;
    default:
      for (const { key, from, to } of change.differences) words.push(key, from, '->', to);
  }
  return words.join(' ');
}

/** What became of a change: `planned` where it was only to be shown, `left` where one before it failed. */
export type Outcome = 'planned' | 'done' | 'failed' | 'left';

/** Every change of a plan with what became of it, in order. */
export function outcomes(result: ApplyResult): (readonly [Change, Outcome])[] {
  return [
    ...result.done.map((change) => [change, 'done'] as const),
    ...(result.failed ? ([[result.failed.change, 'failed']] as const) : []),
    ...result.left.map((change) => [change, 'left'] as const),
  ];
}

/** Prints a plan and its outcome as one JSON document. `changed` says whether the machine is, or with `dryRun` would be, another. */
export function renderOutcome(
  printer: Printer,
  changes: readonly (readonly [Change, Outcome])[],
  { dryRun, error }: { readonly dryRun: boolean; readonly error?: string },
): void {
  printer.openRow();
  printer.boolean(
    'changed',
    changes.some(([, outcome]) => outcome === 'done' || outcome === 'planned'),
    '',
  );
  printer.boolean('dry_run', dryRun, ' ');
  printer.openRows('changes');
  for (const [change, outcome] of changes) {
    printer.openRow();
    printer.string('action', change.action, '');
    printer.string('name', change.name, ' ');
    printer.string('outcome', outcome, ' ');
    if ('differences' in change) {
      printer.openRows('differences');
      for (const { key, from, to } of change.differences) {
        printer.openRow();
        printer.string('key', key, '');
        printer.string('from', from, ' ');
        printer.string('to', to, ' ');
        printer.closeRow();
      }
      printer.closeRows();
    }
    printer.closeRow();
  }
  printer.closeRows();
  if (error !== undefined) printer.string('error', error, '');
  printer.closeRow();
}
