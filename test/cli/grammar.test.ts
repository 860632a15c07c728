import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StricterError } from '../../src/cli/error.js';
import { expectNoMore, parseKeywords, parseOperand } from '../../src/cli/grammar.js';

const keywords = {
  mgmtdev: { placeholder: 'DEV', read: (text: string) => text, abbreviable: true, missing: 'no mgmtdev' },
  name: { placeholder: 'NAME', read: (text: string) => text, abbreviable: true, missing: 'no name' },
  mtu: { placeholder: 'MTU', read: Number },
  force: { read: () => true },
};

test('keywords come in any order, the last of a kind counts, and some may be abbreviated', () => {
  assert.deepEqual(parseKeywords(keywords, ['n', 'a', 'mgmt', 'b', 'mtu', '9000', 'force', 'name', 'c']), {
    name: 'c',
    mgmtdev: 'b',
    mtu: 9000,
    force: true,
  });
});

test('a keyword that must not be abbreviated', () => {
  assert.throws(() => parseKeywords(keywords, ['mt', '1', 'name', 'a']), { message: 'Unknown option "mt"' });
});

test('the empty word matches nothing', () => {
  assert.throws(() => parseKeywords(keywords, ['', 'x']), { message: 'Unknown option ""' });
});

test('missing arguments are reported before the last word is rejected, as in iproute2', () => {
  assert.throws(() => parseKeywords(keywords, ['name', 'a', 'mgmtdev']), { message: 'no mgmtdev' });
  assert.throws(() => parseKeywords(keywords, ['mgmtdev', 'a', 'junk']), { message: 'no name' });
});

test('a last keyword without its value is rejected', () => {
  const whole = ['name', 'a', 'mgmtdev', 'b'];
  assert.throws(() => parseKeywords(keywords, [...whole, 'junk']), { message: 'Unknown option "junk"' });
  assert.throws(() => parseKeywords(keywords, [...whole, 'mtu']), { message: 'Option "mtu" requires a value' });
  assert.throws(
    () => {
      expectNoMore(['junk']);
    },
    { message: 'Unknown option "junk"' },
  );
});

test('properties of Object.prototype are not keywords', () => {
  assert.throws(() => parseKeywords(keywords, ['constructor', 'x']), { message: 'Unknown option "constructor"' });
  assert.throws(() => parseKeywords({ constructor: { ...keywords.name } }, []), { message: 'no name' });
});

test('a value that only this program rejects is rejected last', () => {
  const strict = {
    ...keywords,
    mac: {
      placeholder: 'MAC',
      read: (text: string) => {
        throw new StricterError(`bad ${text}`);
      },
    },
  };
  const whole = ['mac', '1', 'name', 'a', 'mgmtdev', 'b'];
  assert.throws(() => parseKeywords(strict, [...whole, 'mac', '2']), { message: 'bad 1' });
  assert.throws(() => parseKeywords(strict, [...whole, 'junk']), { message: 'bad 1' });
  assert.throws(() => parseKeywords(strict, ['mac', '1', 'junk', 'x']), { message: 'Unknown option "junk"' });
  assert.throws(() => parseKeywords(strict, ['mac', '1']), { message: 'no mgmtdev' });
});

test('an operand is at most one word', () => {
  assert.equal(parseOperand(Number, []), undefined);
  assert.equal(parseOperand(Number, ['7']), 7);
  assert.throws(() => parseOperand(Number, ['7', 'x']), { message: 'Unknown option "x"' });
  assert.throws(() => parseOperand(Number, ['7', 'x', 'y']), { message: 'Unknown option "x"' });
});
