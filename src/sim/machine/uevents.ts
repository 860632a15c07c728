/** The events that the driver core broadcasts: lib/kobject_uevent.c */
import { encodeText } from '../../netlink/text-encoding.js';
import type { MachineDraft, UeventEntries } from '../state/store.js';

/** An event, without the entries that all have. */
export interface NewUevent {
  readonly action: 'add' | 'remove' | 'bind' | 'unbind' | 'change';
  /** Below /sys. */
  readonly devpath: string;
  readonly subsystem: string;
  /** Further entries, in the order of the kernel: `INTERFACE`, `IFINDEX`. */
  readonly variables?: Readonly<Record<string, string | number>>;
}

/** Broadcasts an event once the change is stored. */
export function broadcast(draft: MachineDraft, { action, devpath, subsystem, variables = {} }: NewUevent): void {
  const seqnum = draft.kernel.seqnum + 1;
  draft.kernel = { ...draft.kernel, seqnum };
  draft.uevents.push([
    `${action}@${devpath}`,
    `ACTION=${action}`,
    `DEVPATH=${devpath}`,
    `SUBSYSTEM=${subsystem}`,
    ...Object.entries(variables).map(([key, value]) => `${key}=${value}`),
    `SEQNUM=${seqnum}`,
  ]);
}

/** The datagram of an event. */
export function encodeUevent(entries: UeventEntries): Uint8Array {
  return encodeText(entries.map((entry) => `${entry}\0`).join(''));
}
