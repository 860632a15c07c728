/** Permissions of the vhost-vdpa node of a device: in a file, and actual. */
import type { BusDevice, VdpaBus } from '../../sysfs/bus.js';
import type { NodeAccess } from '../../sysfs/node-access.js';
import type { DeviceEntry } from './file.js';

/** The keys of a file for a node. */
export type NodeEntry = Pick<DeviceEntry, 'owner' | 'group' | 'mode'>;

/** The permissions of a node, numeric and in the notation of the command line. */
export interface NodeOwnership {
  readonly access: NodeAccess;
  readonly entry: NodeEntry;
}

/** The users and groups of the machine: sys/accounts.ts, which needs the C library. */
export interface Accounts {
  /** By name or number; undefined if it does not exist. */
  readUser(text: string): number | undefined;
  readGroup(text: string): number | undefined;
  /** The number if it has no name. */
  userName(uid: number): string;
  groupName(gid: number): string;
}

const keys = ['owner', 'group', 'mode'] as const;

/** The defaults of devtmpfs. */
const ORIGINAL: Required<NodeEntry> = { owner: 'root', group: 'root', mode: '0600' };

/** The current permissions of a device's node; undefined if it has none. @throws SystemError */
export async function readNode({ files }: VdpaBus, { vhost }: BusDevice): Promise<NodeOwnership | undefined> {
  const access = vhost === undefined ? undefined : files.access(`/dev/${vhost}`);
  if (!access) return undefined;
  const { groupName, userName } = await import('../../sys/accounts.js');
  const { uid, gid, mode } = access;
  return { access, entry: { owner: userName(uid), group: groupName(gid), mode: modeText(mode) } };
}

/** The keys of a file that restore the permissions of a node: none for those of a new node. */
export function nodeEntryOf(node: NodeOwnership | undefined): NodeEntry {
  return Object.fromEntries(
    keys.flatMap((key) => {
      const value = node?.entry[key];
      return value === undefined || value === ORIGINAL[key] ? [] : [[key, value]];
    }),
  );
}

/**
 * Resolves the permissions in a file.
 * @param refuse called for an unknown user or group
 */
export function resolveNode(
  { owner, group, mode }: NodeEntry,
  accounts: Accounts,
  refuse: (key: string, reason: string) => void,
): NodeOwnership {
  const uid = owner === undefined ? undefined : accounts.readUser(owner);
  const gid = group === undefined ? undefined : accounts.readGroup(group);
  if (owner !== undefined && uid === undefined) refuse('owner', `unknown user ${JSON.stringify(owner)}`);
  if (group !== undefined && gid === undefined) refuse('group', `unknown group ${JSON.stringify(group)}`);
  const bits = mode === undefined ? undefined : Number.parseInt(mode, 8);
  return {
    access: {
      ...(uid !== undefined && { uid }),
      ...(gid !== undefined && { gid }),
      ...(bits !== undefined && { mode: bits }),
    },
    entry: {
      ...(uid !== undefined && { owner: accounts.userName(uid) }),
      ...(gid !== undefined && { group: accounts.groupName(gid) }),
      ...(bits !== undefined && { mode: modeText(bits) }),
    },
  };
}

/** The differences of a node from its desired permissions, in the notation of the command line. */
export interface NodeDifference {
  readonly key: (typeof keys)[number];
  readonly from: string;
  readonly to: string;
}

export function compareNode(desired: NodeOwnership | undefined, node: NodeOwnership | undefined): NodeDifference[] {
  return keys.flatMap((key) => {
    const [from = '(none)', to] = [node?.entry[key], desired?.entry[key]];
    return to === undefined || to === from ? [] : [{ key, from, to }];
  });
}

const modeText = (mode: number): string => `0${mode.toString(8).padStart(3, '0')}`;
