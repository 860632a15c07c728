/**
 * The fields of a device that a server of vdpa serves. Command line, files, help, checks and types are derived from
 * this table: a new field needs one entry here, and its implementation.
 */
import type { DeviceType } from '../../virtio/classes.js';
import type { Field, Fields } from './field.js';

/** QEMU's cache modes: no page cache; written when flushed or later; written before a write is completed. */
export type CacheMode = 'none' | 'writeback' | 'writethrough';
const cacheModes: readonly CacheMode[] = ['none', 'writeback', 'writethrough'];

/** Ways to carry out transfers: in flight together, in three ways; one after another, for files where nothing waits. */
export type AioMode = 'io_uring' | 'native' | 'threads' | 'sync';
const aioModes: readonly AioMode[] = ['io_uring', 'native', 'threads', 'sync'];

/** Fields of a device of either type. */
export const sharedFields = {
  /** Number of queues of a block device, or of queue pairs of a network device. */
  queues: {
    kind: 'integer',
    minimum: 1,
    maximum: 256,
    placeholder: 'N',
    kept: 'always',
    help: 'Number of queues, or of queue pairs of a network device; 1 by default',
  },
  /** Descriptors of each queue: a power of two. */
  queueSize: {
    kind: 'integer',
    minimum: 4,
    maximum: 1024,
    placeholder: 'N',
    kept: 'always',
    help: 'Number of descriptors of each queue, a power of two; 256 by default',
  },
  /** Drivers may use packed virtqueues (VIRTIO_F_RING_PACKED). */
  packed: {
    kind: 'switch',
    kept: 'always',
    help: 'Whether packed virtqueues are offered to drivers; off by default',
  },
  /** Data threads; each serves whole queues, or pairs. */
  threads: {
    kind: 'integer',
    minimum: 1,
    maximum: 256,
    placeholder: 'N',
    help: 'Number of threads that serve the queues; one for each queue or pair by default, up to the number of processors',
  },
  /** Processors of the data threads: the first is that of the first thread, and so on, from the first again. */
  cpus: {
    kind: 'processors',
    shown: true,
    help: 'Processors that the threads run on, one for each thread; all by default',
  },
  /** The user that the server switches to once the device is open. */
  user: { kind: 'text', placeholder: 'USER', help: 'Unprivileged user that the server switches to' },
  /** A server that ends by itself is restarted. */
  restart: { kind: 'switch', help: 'Whether a server that dies is restarted; off by default' },
} as const satisfies Fields;

/** Fields of a block device. */
export const blockFields = {
  ...sharedFields,
  /** Default: a file if there is a path, an NBD server if there is a URI, else memory. */
  backend: {
    kind: 'choice',
    choices: ['ram', 'file', 'nbd', 'null'],
    shown: true,
    kept: 'unless forced',
    help: 'Where data is stored',
  },
  /** Path of a file or a block device. */
  path: { kind: 'file', shown: true, help: 'File or block device' },
  /** URI of an export of an NBD server: see `parseNbdUri`. */
  uri: {
    kind: 'text',
    placeholder: 'URI',
    shown: true,
    kept: 'unless forced',
    help: 'Export of an NBD server: nbd://, nbds://, nbd+unix:// or nbds+unix://',
  },
  /** Seconds. */
  reconnect: {
    kind: 'integer',
    minimum: 0,
    maximum: 86400,
    placeholder: 'SECONDS',
    shown: true,
    help: 'How long requests wait for an NBD server that is gone, before they fail; 30 by default',
  },
  /** Bytes; by default the size of the file, or 64 MiB of memory. */
  size: { kind: 'size', shown: true, help: 'Size in bytes, or with suffix K, M, G, T or P' },
  /** Size of a logical block, in bytes. */
  blockSize: {
    kind: 'choice',
    choices: [512, 4096],
    shown: true,
    kept: 'always',
    help: 'Logical block size in bytes; 512 by default, or that of the backing block device',
  },
  /** Whether transfers go through the page cache, as QEMU means it; only for a file, or an NBD server. */
  cache: {
    kind: 'choice',
    choices: cacheModes,
    shown: true,
    help: 'How the page cache is used; none by default, if the file supports it, else writeback',
  },
  /** How transfers are carried out; only for a file. */
  aio: {
    kind: 'choice',
    choices: aioModes,
    shown: true,
    help: 'How transfers are carried out; io_uring by default, if permitted, or sync for a file in memory',
  },
  readonly: { kind: 'flag', shown: true, kept: 'unless forced', help: 'Reject writes' },
  /** At most 20 bytes; the name by default. */
  serial: {
    kind: 'text',
    placeholder: 'STRING',
    kept: 'unless forced',
    help: 'Serial number, up to 20 bytes; the name of the device by default',
  },
} as const satisfies Fields;

/** Fields of a network device. */
export const netFields = {
  ...sharedFields,
  /** Default: a tap if it has a name, else loopback. */
  backend: {
    kind: 'choice',
    choices: ['loopback', 'tap'],
    shown: true,
    kept: 'unless forced',
    help: 'Where packets are sent',
  },
  /** Name of the TAP interface, which is created if it does not exist. */
  ifname: {
    kind: 'text',
    placeholder: 'TAP',
    shown: true,
    kept: 'unless forced',
    help: 'TAP interface, created if it does not exist',
  },
  /** `00:11:22:33:44:55`; derived from the name by default. */
  mac: {
    kind: 'mac',
    ofDevice: true,
    shown: true,
    kept: 'unless forced',
    help: 'MAC address; derived from the name of the device by default',
  },
  /** Bytes. */
  mtu: {
    kind: 'integer',
    minimum: 68,
    maximum: 65535,
    placeholder: 'MTU',
    ofDevice: true,
    shown: true,
    kept: 'unless forced',
    help: 'MTU, also set on the TAP interface',
  },
} as const satisfies Fields;

const fieldsOf = { block: blockFields, net: netFields } as const satisfies Record<DeviceType, Fields>;

/** A field's name: `blockSize`. */
export type FieldName = keyof typeof blockFields | keyof typeof netFields;

/** A field by its name; `backend` differs between the types. */
export type FieldNamed<Name extends FieldName> =
  | (Name extends keyof typeof blockFields ? (typeof blockFields)[Name] : never)
  | (Name extends keyof typeof netFields ? (typeof netFields)[Name] : never);

/** The fields of a type of devices, in the order in which they are written. */
export function fieldEntries(type: DeviceType): [FieldName, Field][] {
  return Object.entries<Field>(fieldsOf[type]).filter(isFieldEntry);
}

function isFieldEntry(entry: [string, Field]): entry is [FieldName, Field] {
  return entry[0] in blockFields || entry[0] in netFields;
}

/** All fields, in the order in which they are written. A field of both types appears once, with the choices of both. */
export function allFields(): [FieldName, Field][] {
  const fields = new Map<FieldName, Field>(fieldEntries('block'));
  for (const [name, field] of fieldEntries('net')) {
    const other = fields.get(name);
    fields.set(name, other?.kind === 'choice' && field.kind === 'choice' ? joinChoices(other, field) : field);
  }
  return [...fields];
}

type ChoiceField = Extract<Field, { readonly kind: 'choice' }>;

function joinChoices(one: ChoiceField, other: ChoiceField): ChoiceField {
  const help = `${one.help}, or ${other.help.charAt(0).toLowerCase()}${other.help.slice(1)}`;
  return { ...other, choices: [...one.choices, ...other.choices], help };
}
