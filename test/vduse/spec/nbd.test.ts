import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatArguments, fromEntry, toDeviceSpec, toEntry } from '../../../src/vduse/spec/arguments.js';
import { blockBackendFor } from '../../../src/vduse/spec/backend.js';
import type { BlockDeviceSpec } from '../../../src/vduse/spec/device-spec.js';
import { compareRecordedSpecs, type RecordedSpec } from '../../../src/vduse/spec/instance-record.js';
import { checkDeviceSpec, resolveSpec } from '../../../src/vduse/spec/resolve.js';

const uri = 'nbds://alice@server/disk?tls-psk-file=/etc/keys.psk';
const spec: BlockDeviceSpec = { name: 'disk0', type: 'block', uri };

describe('a disk on an NBD server', () => {
  test('a URI chooses the backend', () => {
    assert.deepEqual(blockBackendFor(spec, true), { type: 'nbd', uri });
    const full = { ...spec, reconnect: 5, cache: 'writethrough' } as const;
    assert.deepEqual(blockBackendFor(full, true), { type: 'nbd', uri, reconnect: 5, cache: 'writethrough' });
    const { backend, reconnect } = { reconnect: undefined, ...resolveSpec(spec) };
    assert.deepEqual([backend, reconnect], ['nbd', 30]);
  });

  test('as arguments and as an entry of a file, it is the same again', () => {
    const given = toDeviceSpec('disk0', { type: 'block', uri, reconnect: 5 });
    assert.deepEqual(formatArguments(given), ['name', 'disk0', 'type', 'block', 'uri', uri, 'reconnect', '5']);
    assert.deepEqual(fromEntry('disk0', toEntry(given)), given);
  });

  const rejected: readonly [Partial<BlockDeviceSpec>, RegExp][] = [
    [{ size: 2 ** 20 }, /"size" is not supported by backend nbd/],
    [{ aio: 'io_uring' }, /"aio" is not supported by backend nbd/],
    [{ cache: 'none' }, /"cache none" is not supported by backend nbd/],
    [{ path: '/disk', backend: 'nbd' }, /"path" is not supported by backend nbd/],
    [{ path: '/disk' }, /"uri" is not supported by backend file/],
    [{ backend: 'ram' }, /"uri" is not supported by backend ram/],
    [{ uri: 'nbd://host/?colour=red' }, /Invalid NBD URI: unknown parameter "colour"/],
  ];
  for (const [change, message] of rejected) {
    test(`rejected: ${JSON.stringify(change)}`, () => {
      assert.throws(
        () => {
          checkDeviceSpec({ ...spec, ...change });
        },
        { name: 'DeviceOptionError', message },
      );
    });
  }

  test('rejected: without a URI, and "reconnect" without an NBD server', () => {
    const { name, type } = spec;
    assert.throws(() => {
      checkDeviceSpec({ name, type, backend: 'nbd' });
    }, /Backend nbd requires "uri"/);
    assert.throws(() => {
      checkDeviceSpec({ name, type, reconnect: 5 });
    }, /"reconnect" is not supported by backend ram/);
  });

  test('a password is rejected, and in no error', () => {
    for (const text of ['nbds://alice:secret@host/', 'nbd://alice:secret@host']) {
      assert.throws(
        () => {
          checkDeviceSpec({ ...spec, uri: text });
        },
        (error: unknown) =>
          error instanceof Error && error.message.includes('password') && !error.message.includes('secret'),
      );
    }
  });

  test('the next server of an instance has the same URI, unless that is forced', () => {
    const record: RecordedSpec = {
      type: 'block',
      backend: 'nbd',
      queues: 1,
      queueSize: 256,
      packed: false,
      features: 0n,
      uri,
    };
    const moved = compareRecordedSpecs(record, { ...record, uri: 'nbd://other/' });
    assert.deepEqual(moved, { lasting: [], others: [`uri ${uri}, not nbd://other/`] });
  });
});
