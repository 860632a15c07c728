import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { SystemError } from '../../../src/sys/error.js';
import { mapAnonymous, unmap } from '../../../src/sys/memory.js';
import { MappingTable } from '../../../src/vduse/engine/mappings.js';
import { MemoryRevokedError } from '../../../src/vduse/engine/queue.js';

/** No other mapping of this process has this length. */
const BYTES = 48 * 1024 * 1024 + 4096;

/** The number of mappings of that length. */
function countMappings(): number {
  const maps = readFileSync('/proc/self/maps', 'utf8');
  return [...maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) /gm)].filter(
    ([, start = '', end = '']) => Number.parseInt(end, 16) - Number.parseInt(start, 16) === BYTES,
  ).length;
}

const map = (): number => mapAnonymous('map for a test', BYTES);

test('memory that is revoked during mapping: nothing waits, and no mapping is left', () => {
  const table = MappingTable.allocate();
  const others = new MappingTable(table.shared);
  const before = countMappings();
  let calls = 0;
  assert.throws(
    () =>
      table.add(BYTES, table.revocations, () => {
        // What the main thread does while the file system is slow.
        if (++calls === 1) others.revokeAll();
        return map();
      }),
    MemoryRevokedError,
  );
  assert.equal(calls, 2);
  assert.equal(countMappings(), before);
  table.free();
});

test('memory that was revoked between lookup and mapping is not mapped', () => {
  const table = MappingTable.allocate();
  const before = countMappings();
  const { revocations } = table;
  table.revokeAll();
  assert.throws(() => table.add(BYTES, revocations, map), MemoryRevokedError);
  assert.equal(countMappings(), before);
  const mapped = table.add(BYTES, table.revocations, map);
  assert.ok(mapped);
  table.remove(mapped.view);
  assert.equal(countMappings(), before);
  table.free();
});

test('a mapping that fails leaves neither of the two', () => {
  const table = MappingTable.allocate();
  const before = countMappings();
  let calls = 0;
  assert.throws(
    () =>
      table.add(BYTES, table.revocations, () => {
        if (++calls === 2) throw new Error('no memory');
        return map();
      }),
    /no memory/,
  );
  assert.equal(countMappings(), before);
  table.free();
});

test('an unmapped address is not revoked, even if the other one of its mapping could not be unmapped', () => {
  const table = MappingTable.allocate();
  const addresses: number[] = [];
  // The kernel refuses to unmap an address that is not the start of a page.
  const mapped = table.add(BYTES, table.revocations, () => {
    const address = map();
    addresses.push(address);
    return addresses.length === 1 ? address + 8 : address;
  });
  assert.ok(mapped);
  const isMapped = (address: number): boolean =>
    new RegExp(`^${address.toString(16)}-`, 'm').test(readFileSync('/proc/self/maps', 'utf8'));
  const [view = 0] = addresses;
  table.remove(mapped.view);
  assert.equal(isMapped(mapped.transfer), false);
  assert.throws(() => {
    table.revokeAll();
  }, SystemError);
  assert.equal(isMapped(mapped.transfer), false);
  unmap('clean up', view, BYTES);
  table.free();
});
