/** A served device in words: those of the command line, which a server is started with, and those of files. */
import { formatMac } from '../../virtio/mac-address.js';
import { DeviceOptionError } from '../device-option-error.js';
import type { ServedDevice } from './served-device.js';

const blockBackends = ['ram', 'file', 'null'] as const;
const netBackends = ['loopback', 'tap'] as const;

/** What a device of either type may be served from. */
export const backendNames = [...blockBackends, ...netBackends] as const;

export type BackendName = (typeof backendNames)[number];

/** What only a server understands, by its words. */
export interface ServerWords {
  readonly queues?: number;
  readonly queue_size?: number;
  readonly backend?: BackendName;
  readonly path?: string;
  /** Bytes, as is `block_size`. */
  readonly size?: number;
  readonly block_size?: 512 | 4096;
  readonly readonly?: boolean;
  readonly serial?: string;
  readonly ifname?: string;
  readonly user?: string;
  readonly restart?: boolean;
}

/** The same as files have it, see schemas/vduse-server.schema.json. */
export interface ServerEntry extends Omit<ServerWords, 'size'> {
  /** Bytes, or a text as {@link parseSize} reads it. */
  readonly size?: number | string;
}

/** All that a served device may be asked to be, but its name. */
export interface DeviceWords extends ServerWords {
  readonly type?: ServedDevice['type'];
  /** Six bytes. */
  readonly mac?: Uint8Array;
  readonly mtu?: number;
}

/** The words that only one type of device knows. */
const wordsOf = {
  block: ['path', 'size', 'block_size', 'readonly', 'serial'],
  net: ['ifname', 'mac', 'mtu'],
} as const satisfies Record<ServedDevice['type'], readonly (keyof DeviceWords)[]>;

/** Makes a device of words. @throws DeviceOptionError where they do not go together */
export function readDeviceWords(name: string, words: DeviceWords): ServedDevice {
  const type = words.type ?? 'block';
  const other = type === 'block' ? 'net' : 'block';
  const stray = wordsOf[other].find((word) => words[word] !== undefined);
  if (stray !== undefined)
    throw new DeviceOptionError(`"${stray}" is for devices of type ${other}; this one is ${type}`);
  const { backend, queues, queue_size: queueSize, user, restart } = words;
  const common = {
    name,
    ...(queues !== undefined && { queues }),
    ...(queueSize !== undefined && { queueSize }),
    ...(user !== undefined && { user }),
    ...(restart !== undefined && { restart }),
  };
  if (type === 'block') {
    const { path, size, block_size: blockSize, readonly, serial } = words;
    return {
      ...common,
      type,
      ...(backend !== undefined && { backend: oneOf(blockBackends, type, backend) }),
      ...(path !== undefined && { path }),
      ...(size !== undefined && { size }),
      ...(blockSize !== undefined && { blockSize }),
      ...(readonly !== undefined && { readonly }),
      ...(serial !== undefined && { serial }),
    };
  }
  const { ifname, mac, mtu } = words;
  return {
    ...common,
    type,
    ...(backend !== undefined && { backend: oneOf(netBackends, type, backend) }),
    ...(ifname !== undefined && { ifname }),
    ...(mac !== undefined && { mac }),
    ...(mtu !== undefined && { mtu }),
  };
}

function oneOf<Name extends string>(names: readonly Name[], type: string, backend: string): Name {
  const found = names.find((name) => name === backend);
  if (found !== undefined) return found;
  throw new DeviceOptionError(`A device of type ${type} has no backend "${backend}": ${names.join(', ')} expected`);
}

/** The words of an entry that the schema has found right. @throws DeviceOptionError for a text that is no size */
export function readServerEntry({ size, ...words }: ServerEntry): ServerWords {
  if (size === undefined) return words;
  const bytes = parseSize(String(size));
  if (bytes !== undefined) return { ...words, size: bytes };
  throw new DeviceOptionError(`"${size}" is no size: bytes, or a number with K, M, G, T or P behind it, expected`);
}

/** The words that make the device again, for a server's own command line. */
export function wordsOfDevice(device: ServedDevice): string[] {
  const { name, type, queues, queueSize, backend, user, restart } = device;
  const specific: readonly (readonly [keyof DeviceWords, string | number | undefined])[] =
    device.type === 'block'
      ? [
          ['path', device.path],
          ['size', device.size],
          ['block_size', device.blockSize],
          ['serial', device.serial],
        ]
      : [
          ['ifname', device.ifname],
          ['mac', device.mac && formatMac(device.mac)],
          ['mtu', device.mtu],
        ];
  const all: readonly (readonly [string, string | number | undefined])[] = [
    ['name', name],
    ['type', type],
    ['queues', queues],
    ['queue_size', queueSize],
    ['backend', backend],
    ['user', user],
    ['restart', restart === undefined ? undefined : restart ? 'on' : 'off'],
    ...specific,
  ];
  const words = all.flatMap(([word, value]) => (value === undefined ? [] : [word, String(value)]));
  return device.type === 'block' && device.readonly === true ? [...words, 'readonly'] : words;
}

const units = 'KMGTP';

/**
 * Bytes as people write them: `67108864`, `64M`, `64MiB`, `1G`. The units are powers of 1024.
 * @returns undefined for what is no size
 */
export function parseSize(text: string): number | undefined {
  const [, digits, unit] = /^([0-9]+)(?:([kmgtp])(?:ib)?)?$/i.exec(text) ?? [];
  const power = unit === undefined ? 0 : units.indexOf(unit.toUpperCase()) + 1;
  const bytes = Number(digits ?? Number.NaN) * 1024 ** power;
  return bytes > 0 && bytes <= 2 ** 52 ? bytes : undefined;
}
