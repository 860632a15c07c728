/** The users and groups of the machine: getpwnam(3), getgrnam(3). */
import { libc } from './libc.js';
import { viewMemory } from './memory.js';

const getpwnam: (name: string) => number = libc.func('uintptr_t getpwnam(const char *name)');
const getgrnam: (name: string) => number = libc.func('uintptr_t getgrnam(const char *name)');

const strlen: (text: number) => number = libc.func('size_t strlen(uintptr_t text)');
const getpwuid: (uid: number) => number = libc.func('uintptr_t getpwuid(unsigned int uid)');
const getgrgid: (gid: number) => number = libc.func('uintptr_t getgrgid(unsigned int gid)');

/** struct passwd and struct group: two pointers, then the numbers. */
const IDS = 16;

/** The id of a user and that of its group; undefined if there is no user of that name. */
export function userIds(name: string): { readonly uid: number; readonly gid: number } | undefined {
  const entry = name.includes('\0') ? 0 : getpwnam(name);
  if (entry === 0) return undefined;
  const [uid = 0, gid = 0] = new Uint32Array(viewMemory(entry + IDS, 8));
  return { uid, gid };
}

/** The id of a group; undefined if there is no group of that name. */
function groupId(name: string): number | undefined {
  const entry = name.includes('\0') ? 0 : getgrnam(name);
  return entry === 0 ? undefined : new Uint32Array(viewMemory(entry + IDS, 4))[0];
}

/** The greatest id of a user or group; the next number means "leave unchanged". */
const MAX_ID = 0xffff_fffe;

/** The id of a user given by name or id, as by chown(1): names take precedence. undefined if there is none. */
export const readUser = (text: string): number | undefined => userIds(text)?.uid ?? readId(text);

/** The same for a group. */
export const readGroup = (text: string): number | undefined => groupId(text) ?? readId(text);

function readId(text: string): number | undefined {
  const id = /^[0-9]{1,10}$/.test(text) ? Number(text) : MAX_ID + 1;
  return id <= MAX_ID ? id : undefined;
}

/** The name of a user, or its id if it has none. */
export const userName = (uid: number): string => nameIn(getpwuid(uid)) ?? `${uid}`;

/** The name of a group, or its id if it has none. */
export const groupName = (gid: number): string => nameIn(getgrgid(gid)) ?? `${gid}`;

/** The first word of such a structure points to its name. @param entry 0 for none */
function nameIn(entry: number): string | undefined {
  if (entry === 0) return undefined;
  const [name = 0n] = new BigUint64Array(viewMemory(entry, 8));
  return Buffer.from(viewMemory(Number(name), strlen(Number(name)))).toString();
}
