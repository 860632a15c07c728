/** The words that describe a device which a server of this program serves: behind `dev add mgmtdev vduse` and `vduse serve`. */
import { DeviceOptionError } from '../vduse/device-option-error.js';
import {
  backendNames,
  parseSize,
  readDeviceWords,
  type BackendName,
  type DeviceWords,
} from '../vduse/service/device-words.js';
import type { ServedDevice } from '../vduse/service/served-device.js';
import { UsageError } from './error.js';
import type { Keywords, Values } from './grammar.js';
import { deviceTypeNames, readDeviceType, readMac, readNumber } from './values.js';

/** The words that only a VDUSE device's server understands. */
export const serverKeywords = {
  queues: { placeholder: 'N', read: readNumber('queues', 1, 256) },
  queue_size: { placeholder: 'N', read: readNumber('queue_size', 4, 1024) },
  backend: { placeholder: 'BACKEND', read: readBackend, completes: backendNames },
  path: { placeholder: 'FILE', read: (text: string) => text, completes: 'file' },
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

function readBackend(text: string): BackendName {
  const backend = backendNames.find((name) => name === text);
  if (backend === undefined) throw new UsageError(`"${text}" is invalid backend: ${backendNames.join(', ')} expected`);
  return backend;
}

function readSwitch(text: string): boolean {
  if (text === 'on' || text === 'off') return text === 'on';
  throw new UsageError(`"${text}" is invalid restart: on or off expected`);
}

function readSize(text: string): number {
  const bytes = parseSize(text);
  if (bytes !== undefined) return bytes;
  throw new UsageError(`"${text}" is invalid size: bytes, or a number with K, M, G, T or P behind it, expected`);
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

/** Makes a device of words. @throws UsageError where they do not go together */
export function readServedDevice(name: string, words: DeviceWords): ServedDevice {
  try {
    return readDeviceWords(name, words);
  } catch (error) {
    if (error instanceof DeviceOptionError) throw new UsageError(error.message);
    throw error;
  }
}
