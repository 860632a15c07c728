import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import stringWidth from 'string-width';
import { renderDevice } from '../../src/render/device.js';
import { Output } from '../../src/render/output.js';
import { loadPaint, plain, type Paint } from '../../src/render/paint.js';
import { TablePrinter } from '../../src/render/table.js';

function table(paint: Paint, draw: (printer: TablePrinter) => void): string {
  let text = '';
  const printer = new TablePrinter(new Output((part) => (text += part)), paint);
  printer.openSection('dev');
  draw(printer);
  printer.closeSection();
  printer.finish();
  printer.finish();
  return text;
}

test('a row for each record, a column for each key, empty cells where a record has none', () => {
  const text = table(plain, (printer) => {
    renderDevice(printer, { name: 'a', managementDevice: 'm', deviceId: 1, maxVirtqueues: 3 });
    renderDevice(printer, { name: 'bb', managementDevice: 'm', deviceId: 2 });
  });
  const cells = text.split('\n').map((line) => line.split('│').map((cell) => cell.trim()));
  assert.deepEqual(cells[1], ['', 'dev', 'type', 'mgmtdev', 'max_vqs', '']);
  assert.deepEqual(cells[3], ['', 'a', 'network', 'm', '3', '']);
  assert.deepEqual(cells[5], ['', 'bb', 'block', 'm', '', '']);
  assert.ok(!text.includes('\x1b'));
});

test('nothing prints no table', () => {
  assert.equal(
    table(plain, () => undefined),
    '',
  );
});

test('colors do not shift the columns, and a name cannot contain its own', async () => {
  const draw = (printer: TablePrinter): void => {
    printer.openRecord('a\x1b[31m\n\tb');
    printer.string('mac', '00:11');
    printer.closeRecord();
  };
  const painted = table(await loadPaint(undefined), draw);
  assert.ok(painted.includes('\x1b[33m00:11\x1b[39m'));
  assert.match(painted, /a\ufffd\[31m\ufffd\ufffdb/);
  assert.equal(stripVTControlCharacters(painted), table(plain, draw));
});

test('the output of a dump before its restart is discarded', () => {
  const text = table(plain, (printer) => {
    const back = printer.checkpoint();
    printer.openRecord('old');
    printer.closeRecord();
    back();
    printer.openRecord('new');
    printer.closeRecord();
  });
  assert.match(text, /new/);
  assert.doesNotMatch(text, /old/);
});

const draw = (printer: TablePrinter): void => {
  for (const name of ['foo0', '設備', 'a'.repeat(60)]) {
    printer.openRecord(name);
    printer.string('type', 'network');
    printer.string('mgmtdev', 'pci/0000:03:00.2');
    printer.openList('dev_features');
    for (const word of ['MAC', 'CTRL_MAC_ADDR', 'ACCESS_PLATFORM', '特性'.repeat(12)]) printer.item(word);
    printer.closeList();
    printer.closeRecord();
  }
};

function fitted(width: number | undefined, utf8: boolean, paint: Paint = plain): string {
  let text = '';
  const printer = new TablePrinter(new Output((part) => (text += part)), paint, { width, utf8 });
  printer.openSection('dev');
  draw(printer);
  printer.closeSection();
  printer.finish();
  return text;
}

for (const width of [40, 30, 80]) {
  test(`a table fits ${width} columns, and loses nothing`, async () => {
    for (const utf8 of [true, false]) {
      const text = fitted(width, utf8);
      const widths = text.split('\n').map((line) => stringWidth(line));
      assert.ok(Math.max(...widths) <= width, text);
      const shown = text.replace(/[^\p{L}\d_]/gu, '');
      for (const word of ['foo0', '設備', 'CTRL_MAC_ADDR', 'a'.repeat(60), '特性'.repeat(12)]) {
        const record =
          shown.includes(word) ||
          text
            .split('\n')
            .map((line) => line.split(/[|│]/)[2]?.trim())
            .join('')
            .includes(word);
        assert.ok(record, `${word} in\n${text}`);
      }
      assert.equal(stripVTControlCharacters(fitted(width, utf8, await loadPaint(undefined))), text);
    }
  });
}

test('without UTF-8 the lines of a table are ASCII', () => {
  assert.match(fitted(40, false).replace(/[\u4e00-\u9fff]/g, ''), /^[\n -~]*$/);
  assert.match(fitted(undefined, false).split('\n')[0] ?? '', /^\+(-+\+){4}$/);
});

test('a table that fits is unchanged', () => {
  assert.equal(fitted(500, true), fitted(undefined, true));
});
