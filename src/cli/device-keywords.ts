/** The keywords that describe a device served by vdpa, for `dev add mgmtdev vduse` and `vduse serve`. */
import { toDeviceSpec, type DeviceArguments, type ServerArguments } from '../vduse/spec/arguments.js';
import type { ServedDeviceSpec } from '../vduse/spec/device-spec.js';
import { DeviceOptionError } from '../vduse/spec/error.js';
import { keywordOf, type Field } from '../vduse/spec/field.js';
import { allFields, fieldEntries, sharedFields } from '../vduse/spec/fields.js';
import { UsageError } from './error.js';
import type { Keyword } from './grammar.js';
import { deviceTypeNames } from '../virtio/classes.js';
import { readChoice, readDeviceType, readMac, readNumber, readSize } from './values.js';

/**
 * Keywords with the values of arguments. Both come from the table of fields, but TypeScript does not know the type of
 * an object that is made of a list: the two tables below therefore assert it.
 */
type KeywordsFor<Arguments> = { readonly [Word in keyof Arguments]-?: Keyword<NonNullable<Arguments[Word]>> };

/** Those that describe the server: only for mgmtdev vduse. */
export const serverKeywords = keywordsOf(({ ofDevice = false }) => !ofDevice) as KeywordsFor<ServerArguments>;

/** Those that describe the device: for any management device. */
export const commonDeviceKeywords = {
  type: { placeholder: 'TYPE', read: readDeviceType, completes: deviceTypeNames, help: 'Device type: block or net' },
  ...keywordsOf(({ ofDevice = false }) => ofDevice),
} as KeywordsFor<Omit<DeviceArguments, keyof ServerArguments>>;

function keywordsOf(isMeant: (field: Field) => boolean): Record<string, Keyword<unknown>> {
  return Object.fromEntries(
    allFields()
      .filter(([, field]) => isMeant(field))
      .map(([name, field]) => [keywordOf(name), { ...keywordFor(keywordOf(name), field), help: field.help }]),
  );
}

function keywordFor(keyword: string, field: Field): Keyword<unknown> {
  switch (field.kind) {
    case 'integer':
      return { placeholder: field.placeholder, read: readNumber(keyword, field.minimum, field.maximum) };
    case 'size':
      return { placeholder: 'SIZE', read: readSize };
    case 'choice': {
      const completes = field.choices.map(String);
      return { placeholder: completes.join('|'), read: readChoice(keyword, field.choices), completes };
    }
    case 'flag':
      return { read: () => true };
    case 'switch': {
      const read = readChoice(keyword, ['on', 'off']);
      return { placeholder: 'on|off', read: (text) => read(text) === 'on', completes: ['on', 'off'] };
    }
    case 'text':
      return { placeholder: field.placeholder, read: (text) => text };
    case 'file':
      return { placeholder: 'FILE', read: (text) => text, completes: 'file' };
    case 'processors':
      // It is checked with the others.
      return { placeholder: 'LIST', read: (text) => text };
    case 'mac':
      return { placeholder: 'MACADDR', read: readMac };
  }
}

/** The first keyword that describes a server, if any was given. */
export function serverKeyword(values: ServerArguments): string | undefined {
  const given: Readonly<Record<string, unknown>> = values;
  return Object.keys(serverKeywords).find((word) => given[word] !== undefined);
}

/** All of them in the notation of usage lines. */
export function servedUsage(): string[] {
  const isShared = (name: string): boolean => name in sharedFields;
  const own = (['block', 'net'] as const).flatMap((type) => fieldEntries(type).filter(([name]) => !isShared(name)));
  const shared = fieldEntries('block').filter(([name]) => isShared(name));
  return [...shared, ...own].map(([name, field]) => optionalUsage(keywordOf(name), field));
}

function optionalUsage(keyword: string, field: Field): string {
  const choices = field.kind === 'switch' ? ['on', 'off'] : field.kind === 'choice' ? field.choices : undefined;
  const value = choices ? `{ ${choices.join(' | ')} }` : keywordFor(keyword, field).placeholder;
  return value === undefined ? `[ ${keyword} ]` : `[ ${keyword} ${value} ]`;
}

/** Converts arguments to a device. @throws UsageError if they conflict */
export function readDeviceSpec(name: string, values: DeviceArguments): ServedDeviceSpec {
  try {
    return toDeviceSpec(name, values);
  } catch (error) {
    if (error instanceof DeviceOptionError) throw new UsageError(error.message);
    throw error;
  }
}
