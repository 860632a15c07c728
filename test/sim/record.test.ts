import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { MessageConverter } from '../../src/netlink/message-json.js';
import { SimulationError } from '../../src/sim/error.js';
import { RecordFile, recordTransport } from '../../src/sim/record.js';
import { simulate } from '../../src/testing/index.js';
import { VdpaClient } from '../../src/vdpa/client.js';

const folder = mkdtempSync(join(tmpdir(), 'vdpa-record-'));
after(() => {
  rmSync(folder, { recursive: true });
});

/** The lines of a record, without what differs from run to run. */
function linesOf(path: string): unknown[] {
  return readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => {
      const { time, pid, seq, ...rest } = JSON.parse(line) as Record<string, unknown>;
      assert.ok(typeof time === 'string' && !Number.isNaN(Date.parse(time)));
      assert.equal(pid, process.pid);
      assert.ok(seq === undefined || typeof seq === 'number');
      return rest;
    });
}

test('requests and answers are recorded by the names of the headers', async () => {
  const path = join(folder, 'record.jsonl');
  const client = await VdpaClient.open({ transport: recordTransport(simulate(), new RecordFile(path)) });
  await client.addDevice({ managementDevice: 'vdpasim_net', name: 'foo1', mac: '02:00:00:00:00:01' });
  await client.device('foo1');
  await assert.rejects(client.deleteDevice('foo2'));
  await client.close();
  const lines = linesOf(path);
  assert.deepEqual(lines[0], {
    type: 'request',
    family: 'nlctrl',
    command: 'GETFAMILY',
    attributes: { FAMILY_NAME: 'vdpa' },
    dump: false,
  });
  assert.deepEqual(
    lines.filter((line) => JSON.stringify(line).includes('"DEV_NEW"')),
    [
      {
        type: 'request',
        family: 'vdpa',
        command: 'DEV_NEW',
        attributes: {
          MGMTDEV_DEV_NAME: 'vdpasim_net',
          DEV_NAME: 'foo1',
          DEV_NET_CFG_MACADDR: '02:00:00:00:00:01',
        },
        dump: false,
      },
      {
        type: 'answer',
        family: 'vdpa',
        command: 'DEV_NEW',
        attributes: {
          MGMTDEV_DEV_NAME: 'vdpasim_net',
          DEV_NAME: 'foo1',
          DEV_ID: 1,
          DEV_VENDOR_ID: 0,
          DEV_MAX_VQS: 3,
          DEV_MAX_VQ_SIZE: 256,
          DEV_MIN_VQ_SIZE: 1,
        },
      },
    ],
  );
  assert.deepEqual(lines.at(-1), { type: 'acknowledgement', error: 'ENODEV', message: 'vdpa: device not found' });
});

test('bytes that are no message are recorded as they are', () => {
  assert.deepEqual(new MessageConverter().convert(Uint8Array.of(1, 2, 255)), [{ type: 'invalid', bytes: '01:02:ff' }]);
});

test('lines are appended, or replace what was there; a link or a folder is refused', () => {
  const path = join(folder, 'appended.jsonl');
  writeFileSync(path, '');
  for (const truncate of [false, false, true]) {
    const file = new RecordFile(path, { truncate });
    file.append({ type: 'end', status: 0 });
    file.close();
    file.close();
  }
  assert.deepEqual(linesOf(path), [{ type: 'end', status: 0 }]);
  symlinkSync(path, join(folder, 'link'));
  assert.throws(() => new RecordFile(join(folder, 'link')), SimulationError);
  assert.throws(() => new RecordFile(folder), SimulationError);
  assert.throws(() => new RecordFile('/dev/null'), /not a regular file/);
});
