import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { batchLines, splitArguments, type BatchLine } from '../../src/cli/batch-lines.js';
import { UsageError } from '../../src/cli/error.js';
import { encodeText } from '../../src/netlink/text-encoding.js';

/** The commands of a file that is read in pieces of these lengths, the last length repeatedly. */
function linesOf(content: string | Uint8Array, ...lengths: number[]): BatchLine[] {
  const bytes = typeof content === 'string' ? encodeText(content) : content;
  let at = 0;
  const read = (buffer: Uint8Array): number => {
    const length = (lengths.length > 1 ? lengths.shift() : lengths[0]) ?? buffer.length;
    const piece = bytes.subarray(at, at + Math.min(length, buffer.length));
    buffer.set(piece);
    at += piece.length;
    return piece.length;
  };
  return [...batchLines(read)];
}

// What is expected here is what `ip -force -batch FILE` of iproute2 6.15 makes of the same lines.

test('lines are numbered, and the last one may lack its newline', () => {
  assert.deepEqual(linesOf('a\n\nb'), [
    { number: 1, text: 'a\n' },
    { number: 2, text: '\n' },
    { number: 3, text: 'b' },
  ]);
  assert.deepEqual(linesOf(''), []);
});

test('a comment goes to the end of its line, quoted or not', () => {
  const texts = linesOf('# all\na # b\n"c # d"\na#b\n').map(({ text }) => text);
  assert.deepEqual(texts, ['', 'a ', '"c ', 'a']);
});

test('a line that ends with a backslash continues, and has the number of its last part', () => {
  assert.deepEqual(linesOf('a \\\n b\\\nc # d\ne\n'), [
    { number: 3, text: 'a  bc ' },
    { number: 4, text: 'e\n' },
  ]);
  // After a comment, and before a carriage return, a backslash is just a backslash.
  assert.deepEqual(
    linesOf('a # \\\nb \\\r\nc\n').map(({ text }) => text),
    ['a ', 'b \\\r\n', 'c\n'],
  );
});

test('a last line that is to be continued is rejected', () => {
  assert.throws(() => linesOf('a\nb \\\n'), new UsageError('Missing continuation line'));
});

test('a file that is not a batch is rejected', () => {
  assert.throws(() => linesOf('a\nb\0c\n'), new UsageError('Line 2 contains a NUL character'));
  assert.throws(() => linesOf(`a\n${'x'.repeat(2_000_000)}`), /Line 2 is longer than 1048576 bytes/);
  // Endless, and never wholly in memory.
  const endless = batchLines((buffer) => buffer.fill(0x61).length);
  assert.throws(() => endless.next(), /Line 1 is longer/);
});

test('however a file is cut when it is read, its lines are the same', () => {
  const piece = fc.constantFrom('a', ' ', '\n', '\\\n', '#', '"', "'", '\r', '\t', 'é', '\u{1f600}', '\udcff');
  fc.assert(
    fc.property(fc.array(piece), fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (pieces, lengths) => {
      const content = `${pieces.join('')}\nend\n`;
      assert.deepEqual(linesOf(content, ...lengths), linesOf(content));
    }),
  );
});

test('words are separated by blanks; a quote at the start of a word keeps it together', () => {
  const cases: [string, string[]][] = [
    ['', []],
    [' \t\r\n', []],
    ['dev add\tname  x\n', ['dev', 'add', 'name', 'x']],
    [`'a b' "c d"`, ['a b', 'c d']],
    [`"a'b" 'c"d'`, [`a'b`, `c"d`]],
    [`'' ""`, ['', '']],
    [`"a"b 'c''d'`, ['a', 'b', 'c', 'd']],
    [`a"b c" d'`, ['a"b', 'c"', `d'`]],
    ['a\\ b', ['a\\', 'b']],
  ];
  for (const [text, words] of cases) assert.deepEqual(splitArguments(text), words, text);
});

test('an unterminated quote is rejected', () => {
  for (const text of [`'a`, `a "b c\n`, `'a"`, `"`]) {
    assert.throws(() => splitArguments(text), new UsageError('Unterminated quoted string'), text);
  }
});
