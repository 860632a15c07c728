import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { allowedProcessors, onlineProcessors, runOn } from '../../src/sys/affinity.js';
import { formatProcessorList, MAX_PROCESSORS, parseProcessorList } from '../../src/sys/processor-list.js';

describe('a list of processors', () => {
  test('is numbers and ranges, in any order', () => {
    assert.deepEqual(parseProcessorList('0'), [0]);
    assert.deepEqual(parseProcessorList('0-3,5'), [0, 1, 2, 3, 5]);
    assert.deepEqual(parseProcessorList('5,0-1,5'), [5, 0, 1, 5]);
    assert.deepEqual(parseProcessorList(`${MAX_PROCESSORS - 1}`), [MAX_PROCESSORS - 1]);
  });

  for (const text of ['', ',', '0,', ' 0', '-1', '3-1', '0-', 'x', '0-3:2', '1.5', '8192', '0-9999999999', '1 2']) {
    test(`not ${JSON.stringify(text)}`, () => {
      assert.equal(parseProcessorList(text), undefined);
    });
  }

  test('of more processors than there can be is not a list', () => {
    assert.equal(parseProcessorList(Array(2).fill('0-8191').join(',')), undefined);
  });

  test('is written with ranges', () => {
    assert.equal(formatProcessorList([0, 1, 2, 3, 5, 7, 8]), '0-3,5,7-8');
    assert.equal(formatProcessorList([]), '');
  });
});

const ownList = (): string | undefined =>
  /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync('/proc/thread-self/status', 'utf8'))?.[1];

test('a thread runs where it is told, and stays where it was if that is impossible', (context) => {
  const allowed = allowedProcessors();
  const [processor, another] = allowed;
  assert.ok(processor !== undefined);
  assert.ok(onlineProcessors()?.includes(processor));
  if (another === undefined) {
    context.skip('there is one processor');
    return;
  }
  runOn(another);
  assert.equal(ownList(), `${another}`);
  assert.deepEqual(allowedProcessors(), [another]);
  assert.throws(
    () => {
      runOn(MAX_PROCESSORS - 1);
    },
    { name: 'SystemError', code: 'EINVAL', message: /run on processor 8191/ },
  );
  assert.equal(ownList(), `${another}`);
});
