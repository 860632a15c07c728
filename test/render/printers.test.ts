import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JsonPrinter } from '../../src/render/json.js';
import { Output } from '../../src/render/output.js';
import type { Printer } from '../../src/render/printer.js';
import { TextPrinter } from '../../src/render/text.js';

type Draw = (printer: Printer) => void;

function gather(make: (output: Output) => Printer, draw: Draw): string {
  let text = '';
  const printer = make(
    new Output((part) => {
      text += part;
    }),
  );
  draw(printer);
  printer.finish();
  return text;
}

const asText = (draw: Draw): string => gather((output) => new TextPrinter(output), draw);
const asJson = (draw: Draw): string => gather((output) => new JsonPrinter(output), draw);
const asPrettyJson = (draw: Draw): string => gather((output) => new JsonPrinter(output, { pretty: true }), draw);

const drawDevice: Draw = (printer) => {
  printer.openSection('dev');
  printer.openRecord('foo0');
  printer.string('type', 'network', 'type ');
  printer.number('max_vqs', 3, ' max_vqs ');
  printer.boolean('up', true, ' up ', ' ');
  printer.openList('features');
  printer.item('MAC');
  printer.item(40, 'bit_40');
  printer.closeList();
  printer.openList('none');
  printer.closeList();
  printer.closeRecord();
  printer.closeSection();
};

test('text', () => {
  assert.equal(asText(drawDevice), 'foo0: type network max_vqs 3 up true \n  features MAC bit_40\n  none\n');
});

test('JSON on a line', () => {
  assert.equal(
    asJson(drawDevice),
    '{"dev":{"foo0":{"type":"network","max_vqs":3,"up":true,"features":["MAC",40],"none":[]}}}\n',
  );
});

test('pretty JSON', () => {
  assert.equal(
    asPrettyJson(drawDevice),
    `{
    "dev": {
        "foo0": {
            "type": "network",
            "max_vqs": 3,
            "up": true,
            "features": [ "MAC",40 ],
            "none": [ ]
        }
    }
}
`,
  );
});

test('a document is valid whatever it contains', () => {
  assert.equal(
    asJson(() => undefined),
    '{}\n',
  );
  assert.equal(
    asJson((printer) => {
      printer.openSection('dev');
    }),
    '{"dev":{}}\n',
  );
  assert.equal(
    asJson((printer) => {
      printer.openSection('dev');
      printer.openRecord('foo0');
      printer.openList('features');
      printer.item('MAC');
    }),
    '{"dev":{"foo0":{"features":["MAC"]}}}\n',
  );
});

test('a closed scope cannot be closed again', () => {
  assert.throws(() =>
    asJson((printer) => {
      printer.closeSection();
    }),
  );
});

test('JSON escapes quotes, backslashes, controls and bytes that are not UTF-8; text and other languages stay', () => {
  const name = '"\\\t\n\r\f\b\u0001\u001f\u007f\u0080é漢😀\udcff';
  const json = asJson((printer) => {
    printer.openSection('dev');
    printer.string(name, name, '');
  });
  const escaped = '"\\"\\\\\\t\\n\\r\\f\\b\\u0001\\u001f\\u007f\u0080é漢😀\\udcff"';
  assert.equal(json, `{"dev":{${escaped}:${escaped}}}\n`);
  assert.deepEqual(JSON.parse(json), { dev: { [name]: name } });
});

test('a checkpoint discards everything after it', () => {
  const draw: Draw = (printer) => {
    printer.openSection('dev');
    printer.openRecord('kept');
    printer.closeRecord();
    const back = printer.checkpoint();
    for (const name of ['gone', 'gone too']) {
      printer.openRecord(name);
      printer.string('type', 'x'.repeat(100_000), '');
      printer.openList('open');
      back();
    }
    printer.openRecord('new');
    printer.closeRecord();
  };
  assert.equal(asJson(draw), '{"dev":{"kept":{},"new":{}}}\n');
  assert.equal(asText(draw), 'kept: \nnew: \n');
});

test('output is written in one piece, and dropped if it cannot be written', () => {
  const parts: string[] = [];
  const output = new Output((part) => {
    if (parts.push(part) === 2) throw new Error('full');
  });
  for (let index = 0; index < 40_000; index++) output.put(`${index}\n`);
  output.flush();
  assert.deepEqual(parts, [Array.from({ length: 40_000 }, (_, index) => `${index}\n`).join('')]);
  output.put('more');
  assert.throws(() => {
    output.flush();
  }, /full/);
  output.flush();
  assert.equal(parts.length, 2);
});

test('long output is written piece by piece, and what is written cannot be discarded', () => {
  const parts: string[] = [];
  const output = new Output((part) => parts.push(part));
  const start = output.length;
  let longest = 0;
  for (let index = 0; index < 200_000; index++) {
    output.put('12345');
    longest = Math.max(longest, output.length - parts.join('').length);
    if (index === 10) output.truncate(start);
    if (parts.length === 2) break;
  }
  assert.ok(parts.length === 2 && longest < 300_000, `${longest} characters waited`);
  assert.throws(() => {
    output.truncate(start);
  }, /^SystemError: print a list again: .* \(EINTR\)\. The list changed while it was read/);
  const { length } = output;
  output.put('more');
  output.truncate(length);
  output.flush();
  assert.equal(parts.join('').length, length);
});
