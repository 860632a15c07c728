/** The users and groups that the machine knows: getpwnam(3), getgrnam(3). */
import { libc } from './libc.js';
import { viewMemory } from './memory.js';

const getpwnam: (name: string) => number = libc.func('uintptr_t getpwnam(const char *name)');
const getgrnam: (name: string) => number = libc.func('uintptr_t getgrnam(const char *name)');

/** struct passwd and struct group: two pointers, then the numbers. */
const IDS = 16;

/** A user's number and that of its group; undefined where there is none of that name. */
export function userIds(name: string): { readonly uid: number; readonly gid: number } | undefined {
  const entry = name.includes('\0') ? 0 : getpwnam(name);
  if (entry === 0) return undefined;
  const [uid = 0, gid = 0] = new Uint32Array(viewMemory(entry + IDS, 8));
  return { uid, gid };
}

/** A group's number; undefined where there is none of that name. */
export function groupId(name: string): number | undefined {
  const entry = name.includes('\0') ? 0 : getgrnam(name);
  return entry === 0 ? undefined : new Uint32Array(viewMemory(entry + IDS, 4))[0];
}
