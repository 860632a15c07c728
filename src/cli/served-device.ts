/** The words that describe a device which a server of this program serves: behind `dev add mgmtdev vduse` and `vduse serve`. */
import { UsageError } from './error.js';
import type { Keywords, Values } from './grammar.js';
import { deviceTypeNames, readDeviceType, readMac, readNumber, type DeviceType } from './values.js';
import type { ServedDevice } from '../vduse/service/served-device.js';

const blockBackends = ['ram', 'file', 'null'] as const;
const netBackends = ['loopback', 'tap'] as const;
const backendNames = [...blockBackends, ...netBackends] as const;

type BackendName = (typeof backendNames)[number];

/** The words that only a VDUSE device's server understands. */
export const serverKeywords = {
  queues: { placeholder: 'N', read: readNumber('queues', 1, 256) },
  queue_size: { placeholder: 'N', read: readNumber('queue_size', 4, 1024) },
  backend: { placeholder: 'BACKEND', read: readBackend, completes: backendNames },
  path: { placeholder: 'FILE', read: (text: string) => text },
  size: { placeholder: 'SIZE', read: readSize },
  block_size: { placeholder: '512|4096', read: readBlockSize, completes: ['512', '4096'] },
  readonly: { read: () => true as const },
  serial: { placeholder: 'STRING', read: (text: string) => text },
  ifname: { placeholder: 'TAP', read: (text: string) => text },
  user: { placeholder: 'USER', read: (text: string) => text },
  restart: { placeholder: 'on|off', read: readSwitch, completes: ['on', 'off'] },
} as const satisfies Keywords;

/** Those that a device of any kind of management device may have, too. */
export const deviceKeywords = {
  type: { placeholder: 'TYPE', read: readDeviceType, completes: deviceTypeNames },
  mac: { placeholder: 'MACADDR', read: readMac },
  mtu: { placeholder: 'MTU', read: readNumber('mtu', 0, 0xffff) },
} as const satisfies Keywords;

type Words = Values<typeof serverKeywords> & Values<typeof deviceKeywords>;
type Word = keyof Words;

/** The words that only one type of device knows. */
const wordsOf = {
  block: ['path', 'size', 'block_size', 'readonly', 'serial'],
  net: ['ifname', 'mac', 'mtu'],
} as const satisfies Record<DeviceType, readonly Word[]>;

function readBackend(text: string): BackendName {
  const backend = backendNames.find((name) => name === text);
  if (backend === undefined) throw new UsageError(`"${text}" is invalid backend: ${backendNames.join(', ')} expected`);
  return backend;
}

function readSwitch(text: string): boolean {
  if (text === 'on' || text === 'off') return text === 'on';
  throw new UsageError(`"${text}" is invalid restart: on or off expected`);
}

const units = 'KMGTP';

/** Bytes as people write them: `67108864`, `64M`, `64MiB`, `1G`. The units are powers of 1024. */
export function readSize(text: string): number {
  const [, digits, unit] = /^([0-9]+)(?:([kmgtp])(?:ib)?)?$/i.exec(text) ?? [];
  const power = unit === undefined ? 0 : units.indexOf(unit.toUpperCase()) + 1;
  const bytes = Number(digits ?? Number.NaN) * 1024 ** power;
  if (!(bytes > 0 && bytes <= 2 ** 52)) {
    throw new UsageError(`"${text}" is invalid size: bytes, or a number with K, M, G, T or P behind it, expected`);
  }
  return bytes;
}

function readBlockSize(text: string): 512 | 4096 {
  if (text === '512') return 512;
  if (text === '4096') return 4096;
  throw new UsageError(`"${text}" is invalid block_size: 512 or 4096 expected`);
}

/** The first of the words that only a server understands, where one was given. */
export function serverWord(words: Values<typeof serverKeywords>): string | undefined {
  return (Object.keys(serverKeywords) as (keyof typeof serverKeywords)[]).find((word) => words[word] !== undefined);
}

/**
 * Makes a device of words.
 * @throws UsageError where they do not go together
 */
export function readServedDevice(name: string, words: Words): ServedDevice {
  const type = words.type ?? 'block';
  const other = type === 'block' ? 'net' : 'block';
  const stray = wordsOf[other].find((word) => words[word] !== undefined);
  if (stray !== undefined) throw new UsageError(`"${stray}" is for devices of type ${other}; this one is ${type}`);
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

function oneOf<Name extends string>(names: readonly Name[], type: DeviceType, backend: string): Name {
  const found = names.find((name) => name === backend);
  if (found !== undefined) return found;
  throw new UsageError(`A device of type ${type} has no backend "${backend}": ${names.join(', ')} expected`);
}

/** The words that make the device again, for a server's own command line. */
export function wordsOfDevice(device: ServedDevice): string[] {
  const { name, type, queues, queueSize, backend, user, restart } = device;
  const specific: readonly (readonly [Word, string | number | undefined])[] =
    device.type === 'block'
      ? [
          ['path', device.path],
          ['size', device.size],
          ['block_size', device.blockSize],
          ['serial', device.serial],
        ]
      : [
          ['ifname', device.ifname],
          ['mac', device.mac && [...device.mac].map((byte) => byte.toString(16).padStart(2, '0')).join(':')],
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
