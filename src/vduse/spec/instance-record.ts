/** What an instance was made of: a server that takes the place of another has to serve the same. */
import { keywordOf, type Field } from './field.js';
import { allFields, type FieldName } from './fields.js';

/** A tap interface that a server has made, by what finds it again. */
export interface MadeTap {
  /** The name that it was made with; it may have another one now. */
  readonly name: string;
  /** In the network namespace that it was made in. */
  readonly index: number;
  /** Its own hardware address, as text; absent where servers of an older version have made it. */
  readonly address?: string;
}

/** A device by what its server made it of. All that can be told of the kind of device is there. */
export interface RecordedSpec {
  readonly type: 'block' | 'net';
  readonly backend: string;
  /** Virtqueues, and how many descriptors each has. */
  readonly queues: number;
  readonly queueSize: number;
  /** The features that drivers are offered. */
  readonly features: bigint;
  /** Of a file or a disk, as it was said. */
  readonly path?: string;
  /** Which file or disk that is: `inode 12 of 8:1`, `disk 8:16`. */
  readonly file?: string;
  /** Bytes that the device has. */
  readonly size?: number;
  /** Bytes that it was asked to have; absent where it is as long as its file. */
  readonly fixedSize?: number;
  readonly blockSize?: 512 | 4096;
  readonly readonly?: boolean;
  readonly serial?: string;
  readonly mac?: string;
  readonly mtu?: number;
  readonly ifname?: string;
  /** The index of that interface, where servers of the instance have made it: it goes with the instance. */
  readonly madeInterface?: number;
  /** Its own hardware address, by which it is known again in another network namespace. */
  readonly interfaceAddress?: string;
}

/** The tap interface that servers of an instance have made. */
export function madeTapOf({ ifname, madeInterface, interfaceAddress: address }: Partial<RecordedSpec> = {}):
  MadeTap | undefined {
  if (ifname === undefined || madeInterface === undefined) return undefined;
  return { name: ifname, index: madeInterface, ...(address !== undefined && { address }) };
}

/** Where it is kept, from one server of an instance to the next. */
export interface InstanceRecord {
  /** What is kept. @returns undefined where nothing is, as of servers that kept none */
  read(): RecordedSpec | undefined;

  /** Sees whether an instance that is there is made of this. @throws DeviceOptionError where it is not */
  check(makings: RecordedSpec): void;

  /** Keeps what an instance is made of. */
  keep(makings: RecordedSpec): void;

  /** The device has grown to so many bytes. */
  grow(size: number): void;
}

/**
 * Starts a server of an instance, and keeps what it is made of: of a new one before it is there, so that no server can die
 * in between; of one that is taken over when that has come to pass.
 * @throws DeviceOptionError where the instance was made of something else
 */
export async function startAndRecord<Server>(
  makings: RecordedSpec,
  { record, takeOver = false }: { readonly record?: InstanceRecord; readonly takeOver?: boolean },
  start: () => Promise<Server>,
): Promise<Server> {
  if (takeOver) record?.check(makings);
  else record?.keep(makings);
  const server = await start();
  if (takeOver) record?.keep(makings);
  return server;
}

type Difference = readonly [key: keyof RecordedSpec, was: string, is: string];

/** The fields of a record that the next server must repeat; `fixedSize` is the size that was asked for. */
function keptFields(kept: NonNullable<Field['kept']>): (keyof RecordedSpec)[] {
  return allFields().flatMap(([name, field]) => (field.kept === kept && isRecorded(name) ? [name] : []));
}

const isRecorded = (name: FieldName): name is FieldName & keyof RecordedSpec => name !== 'user' && name !== 'restart';

const keywordOfMaking = (key: keyof RecordedSpec): string => (key === 'fixedSize' ? 'size' : keywordOf(key));

/**
 * Finds what differs between what an instance was made of and what it is to be served from.
 * @returns for people; `lasting` is what no force changes
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
  // It may have grown, as its file has.
  if (was.size !== undefined && is.size !== undefined && is.size < was.size) {
    others.push(['size', textOf(was.size), textOf(is.size)]);
  }
  return {
    lasting: [
      ...lasting.map(describe),
      ...(missing === 0n ? [] : [`features that are not offered now (0x${missing.toString(16)})`]),
    ],
    others: others.map(describe),
  };
}

/** A file may have another name now; what counts is which file it is. */
function differingFile(was: RecordedSpec, is: RecordedSpec): Difference[] {
  if (was.file === is.file) return [];
  if (was.path === is.path) return [['file', textOf(was.file), textOf(is.file)]];
  return [['path', textOf(was.path), textOf(is.path)]];
}

const textOf = (value: RecordedSpec[keyof RecordedSpec]): string => value?.toString() ?? '(none)';

const describe = ([key, was, is]: Difference): string => `${keywordOfMaking(key)} ${was}, not ${is}`;
