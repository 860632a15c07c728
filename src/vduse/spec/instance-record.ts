/** The record of what an instance was created with: a server that takes over must serve the same device. */
import { keywordOf, type Field } from './field.js';
import { allFields, type FieldName } from './fields.js';

/** A tap interface that a server created, with the properties needed to find it again. */
export interface MadeTap {
  /** The name when it was created; it may have been renamed. */
  readonly name: string;
  /** Its index in the network namespace in which it was created. */
  readonly index: number;
  /** Its permanent hardware address, as text; absent if a server of an older version created it. */
  readonly address?: string;
}

/**
 * The properties that its server created a device with. Includes everything that is reported about the kind of device.
 */
export interface RecordedSpec {
  readonly type: 'block' | 'net';
  readonly backend: string;
  /** Number of virtqueues, and descriptors of each. */
  readonly queues: number;
  readonly queueSize: number;
  /** Whether packed virtqueues are offered. */
  readonly packed: boolean;
  /** The features offered to drivers. */
  readonly features: bigint;
  /** Path of a file or a disk, as it was given. */
  readonly path?: string;
  /** Identifies that file or disk: `inode 12 of 8:1`, `disk 8:16`. */
  readonly file?: string;
  /** URI of an export of an NBD server. */
  readonly uri?: string;
  /** Size of the device, in bytes. */
  readonly size?: number;
  /** The requested size, in bytes; absent if the device has the size of its file. */
  readonly fixedSize?: number;
  readonly blockSize?: 512 | 4096;
  readonly readonly?: boolean;
  readonly serial?: string;
  readonly mac?: string;
  readonly mtu?: number;
  readonly ifname?: string;
  /** The index of that interface, if servers of the instance created it: it is removed together with the instance. */
  readonly madeInterface?: number;
  /** Its permanent hardware address, which identifies it in another network namespace. */
  readonly interfaceAddress?: string;
}

/** The tap interface that servers of an instance created. */
export function madeTapOf({ ifname, madeInterface, interfaceAddress: address }: Partial<RecordedSpec> = {}):
  MadeTap | undefined {
  if (ifname === undefined || madeInterface === undefined) return undefined;
  return { name: ifname, index: madeInterface, ...(address !== undefined && { address }) };
}

/** Storage of the record, from one server of an instance to the next. */
export interface InstanceRecord {
  /** The record. @returns undefined if there is none, as for servers that keep none */
  read(): RecordedSpec | undefined;

  /** Checks that an existing instance was created with these properties. @throws DeviceOptionError if not */
  check(spec: RecordedSpec): void;

  /** Stores the record of an instance. */
  keep(spec: RecordedSpec): void;

  /** Records the new size of a device that has grown, in bytes. */
  grow(size: number): void;
}

/**
 * Starts a server of an instance, and stores the record: for a new instance before it exists, so that no server can die
 * in between; for one that is taken over, afterwards.
 * @throws DeviceOptionError if the instance was created with other properties
 */
export async function startAndRecord<Server>(
  spec: RecordedSpec,
  { record, takeOver = false }: { readonly record?: InstanceRecord; readonly takeOver?: boolean },
  start: () => Promise<Server>,
): Promise<Server> {
  if (takeOver) record?.check(spec);
  else record?.keep(spec);
  const server = await start();
  if (takeOver) record?.keep(spec);
  return server;
}

type Difference = readonly [key: keyof RecordedSpec, was: string, is: string];

/** The fields of a record that must be the same for the next server; `fixedSize` is the requested size. */
function keptFields(kept: NonNullable<Field['kept']>): (keyof RecordedSpec)[] {
  return allFields().flatMap(([name, field]) => (field.kept === kept && isRecorded(name) ? [name] : []));
}

const unrecorded: readonly FieldName[] = ['user', 'restart', 'reconnect', 'cache', 'aio', 'threads', 'cpus'];
const isRecorded = (name: FieldName): name is FieldName & keyof RecordedSpec => !unrecorded.includes(name);

const keywordOfRecorded = (key: keyof RecordedSpec): string => (key === 'fixedSize' ? 'size' : keywordOf(key));

/**
 * Finds the differences between the record of an instance and what it should be served with.
 * @returns human-readable differences; `lasting` are those that `force` does not permit
 */
export function compareRecordedSpecs(
  was: RecordedSpec,
  is: RecordedSpec,
): { readonly lasting: readonly string[]; readonly others: readonly string[] } {
  const differing = (keys: readonly (keyof RecordedSpec)[]): Difference[] =>
    keys.filter((key) => was[key] !== is[key]).map((key) => [key, textOf(was[key]), textOf(is[key])]);
  const lasting = differing(['type', ...keptFields('always')]);
  const missing = was.features & ~is.features;
  const others: Difference[] = [...differingFile(was, is), ...differing([...keptFields('unless forced'), 'fixedSize'])];
  // It may have grown with its file.
  if (was.size !== undefined && is.size !== undefined && is.size < was.size) {
    others.push(['size', textOf(was.size), textOf(is.size)]);
  }
  return {
    lasting: [
      ...lasting.map(describe),
      ...(missing === 0n ? [] : [`features that are no longer offered (0x${missing.toString(16)})`]),
    ],
    others: others.map(describe),
  };
}

/** A file may have been renamed; its identity is what matters. */
function differingFile(was: RecordedSpec, is: RecordedSpec): Difference[] {
  if (was.file === is.file) return [];
  if (was.path === is.path) return [['file', textOf(was.file), textOf(is.file)]];
  return [['path', textOf(was.path), textOf(is.path)]];
}

const textOf = (value: RecordedSpec[keyof RecordedSpec]): string => value?.toString() ?? '(none)';

const describe = ([key, was, is]: Difference): string => `${keywordOfRecorded(key)} ${was}, not ${is}`;
