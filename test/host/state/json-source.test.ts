import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JsonSyntaxError, parseJson } from '../../../src/host/state/json-source.js';

test('JSON is read as JSON.parse reads it', () => {
  for (const text of [
    '{"a":[1,-2.5e3,true,false,null,"\\u00e9\\n\\"x\\\\"],"b":{"c":{}}}',
    ' [ ] ',
    '"x"',
    '0',
    '{"__proto__":1}',
  ]) {
    assert.equal(JSON.stringify(parseJson(text).value), JSON.stringify(JSON.parse(text)), text);
  }
});

test('invalid JSON is rejected, with its location', () => {
  const at = (text: string): string => {
    try {
      parseJson(text);
    } catch (error) {
      if (error instanceof JsonSyntaxError) return `${error.line}:${error.column}`;
    }
    return 'no error';
  };
  assert.equal(at(''), '1:1');
  assert.equal(at('{\n  "a": 1\n  "b": 2\n}'), '3:3');
  assert.equal(at('[1,\n]'), '2:1');
  assert.equal(at('{"a":1,\n\n "a":2}'), '3:5');
  assert.equal(at('[01]'), '1:2');
  assert.equal(at('["a\nb"]'), '1:2');
  assert.equal(at('[NaN]'), '1:2');
  assert.equal(at('[1] 2'), '1:5');
  assert.equal(at("{'a':1}"), '1:2');
  assert.equal(at('["\\x"]'), '1:2');
  assert.notEqual(at('['.repeat(5000)), 'no error');
  for (const text of ['{"a"', '{"a":', '[1', '"', 'tru', '{,}', '[,]', '\ufeff{}'])
    assert.notEqual(at(text), 'no error', text);
});

test('the line of every value is known', () => {
  const source = parseJson('{\n "a/b": [\n  1,\n  {"~": 2}\n ]\n}');
  assert.deepEqual(
    ['', '/a~1b', '/a~1b/0', '/a~1b/1/~0', '/a~1b/7/x', '/nothing'].map((path) => source.lineOf(path)),
    [1, 2, 3, 4, 2, 1],
  );
});
