/** The keywords for access to a device's /dev/vhost-vdpa-N. */
import { driverName, VHOST_VDPA } from '../sysfs/bus.js';
import type { NodeAccess } from '../sysfs/node-access.js';
import { UsageError } from './error.js';
import type { Keywords, Values } from './grammar.js';

/** Keywords of commands that bind a driver. */
export const nodeKeywords = {
  owner: { placeholder: 'USER', read: (text: string) => text, help: 'Owner of /dev/vhost-vdpa-N' },
  group: { placeholder: 'GROUP', read: (text: string) => text, help: 'Group of /dev/vhost-vdpa-N' },
  mode: { placeholder: 'MODE', read: readMode, help: 'Permissions of /dev/vhost-vdpa-N, in octal' },
} as const satisfies Keywords;

/** These keywords in the notation of usage lines. */
export const nodeUsage = '[ owner USER ] [ group GROUP ] [ mode MODE ]';

function readMode(text: string): number {
  if (/^0?[0-7]{3}$/.test(text)) return Number.parseInt(text, 8);
  throw new UsageError(`Invalid mode "${text}": expected three octal digits, as in 0660`);
}

/**
 * Looks up users and groups.
 * @param driver the driver that the device is bound to; undefined if not given
 * @returns undefined if no keyword was given
 * @throws UsageError for an unknown user or group, or a driver without a node
 */
export async function readNodeAccess(
  values: Values<typeof nodeKeywords>,
  driver: string | undefined,
): Promise<NodeAccess | undefined> {
  const { owner, group, mode } = values;
  const keyword =
    owner === undefined ? (group === undefined ? (mode === undefined ? undefined : 'mode') : 'group') : 'owner';
  if (keyword === undefined) return undefined;
  if (driver === undefined || driverName(driver) !== VHOST_VDPA) {
    throw new UsageError(`"${keyword}" requires "driver vhost": only vhost_vdpa creates /dev/vhost-vdpa-N`);
  }
  const { readGroup, readUser } = await import('../sys/accounts.js');
  return {
    ...(owner !== undefined && { uid: numberOf('user', owner, readUser(owner)) }),
    ...(group !== undefined && { gid: numberOf('group', group, readGroup(group)) }),
    ...(mode !== undefined && { mode }),
  };
}

/** @throws UsageError */
function numberOf(what: string, text: string, found: number | undefined): number {
  if (found !== undefined) return found;
  throw new UsageError(`Unknown ${what} ${JSON.stringify(text)}`);
}
