/** A tree of files that exists only as functions: nothing is made before it is read. */
import { posix } from 'node:path';
import type { DeviceNumber, FileAccess } from '../../../sysfs/machine-files.js';
import type { MachineDraft } from '../../state/store.js';

export interface Directory {
  readonly kind: 'directory';
  /** In no particular order. */
  names(): readonly string[];
  get(name: string): FileNode | undefined;
}

export interface TextFile {
  readonly kind: 'file';
  readonly mode: number;
  /** Its content, with the line break at the end that sysfs has. Undefined if it cannot be read. */
  readonly text?: string;
  /** Changes the machine. Absent if it cannot be written. @throws Refusal, NodeHeldError */
  readonly write?: (draft: MachineDraft, text: string) => void;
}

export interface SymbolicLink {
  readonly kind: 'link';
  readonly target: string;
}

export interface DeviceNode {
  readonly kind: 'device';
  readonly device: DeviceNumber;
  readonly access: FileAccess;
  /** The name by which processes hold it. */
  readonly name: string;
  /** Absent if its owner and permissions are fixed. */
  readonly setAccess?: (draft: MachineDraft, access: Partial<FileAccess>) => void;
}

export type FileNode = Directory | TextFile | SymbolicLink | DeviceNode;

/** Makes an entry of a directory when it is read; undefined if it does not exist. */
type Entry = () => FileNode | undefined;

/** A directory of entries that do not change, or of those with other ones that `more` adds. */
export function directory(
  entries: Readonly<Record<string, Entry | undefined>>,
  ...more: readonly Directory[]
): Directory {
  const own = new Map(Object.entries(entries));
  return {
    kind: 'directory',
    names: () => [
      ...[...own].filter(([, entry]) => entry !== undefined).map(([name]) => name),
      ...more.flatMap((other) => other.names()),
    ],
    get: remembering((name) => own.get(name)?.() ?? firstOf(more, (other) => other.get(name))),
  };
}

function firstOf<Item, Result>(items: readonly Item[], find: (item: Item) => Result | undefined): Result | undefined {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The entries of one kind: as many as `names` says. */
export function listing(names: () => readonly string[], get: (name: string) => FileNode | undefined): Directory {
  return { kind: 'directory', names, get: remembering(get) };
}

/** Directories below another one are made once: they are as lasting as the state. Files may tell what runs now. */
function remembering(get: Directory['get']): Directory['get'] {
  const made = new Map<string, Directory>();
  return (name) => {
    const known = made.get(name);
    if (known !== undefined) return known;
    const node = get(name);
    if (node?.kind === 'directory') made.set(name, node);
    return node;
  };
}

/** A directory that only has others below it, at relative paths: `pci0000:03/0000:03:00.2`. */
export function nested(places: ReadonlyMap<string, Entry>): Directory {
  const below = new Map<string, Map<string, Entry>>();
  const entries: Record<string, Entry> = {};
  for (const [path, entry] of places) {
    const [first = '', ...rest] = path.split('/');
    if (rest.length === 0) {
      entries[first] = entry;
      continue;
    }
    const others = below.get(first) ?? new Map<string, Entry>();
    others.set(rest.join('/'), entry);
    below.set(first, others);
  }
  for (const [first, others] of below) {
    const own = entries[first];
    entries[first] = () => {
      const node = own?.();
      return node?.kind === 'directory' ? directory({}, node, nested(others)) : nested(others);
    };
  }
  return directory(entries);
}

/** A file that can only be read: `text` and a line break. */
export function file(text: string | number): Entry {
  return () => ({ kind: 'file', mode: 0o444, text: `${text}\n` });
}

/** A file that has no line break at its end: the `uevent` of a device, for example. */
export function rawFile(text: string, mode = 0o444): Entry {
  return () => ({ kind: 'file', mode, text });
}

/** The `uevent` of a device: its variables, one a line. */
export function ueventFile(variables: Readonly<Record<string, string | number>>): Entry {
  return rawFile(
    Object.entries(variables)
      .map(([key, value]) => `${key}=${value}\n`)
      .join(''),
    0o644,
  );
}

/** A file that changes the machine when it is written. @param text its content; none if it cannot be read */
export function control(write: NonNullable<TextFile['write']>, text?: string): Entry {
  return () => ({
    kind: 'file',
    mode: text === undefined ? 0o200 : 0o644,
    write,
    ...(text !== undefined && { text: `${text}\n` }),
  });
}

/**
 * A relative link, as all are in sysfs: up to a directory above the target, even if that is above the link itself.
 * kernfs_get_target_path()
 * @param from the directory that it is in, below /sys
 */
export function linkTo(from: string, target: string): Entry {
  const way = `${posix.relative(from, posix.dirname(target))}/${posix.basename(target)}`;
  return () => ({ kind: 'link', target: way.replace(/^\//, '') });
}
