import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TreeNode } from '../../src/host/tree.js';
import { JsonPrinter } from '../../src/render/json.js';
import { Output } from '../../src/render/output.js';
import { loadPaint, plain } from '../../src/render/paint.js';
import { drawTree, formatDot, formatMermaid, renderTree } from '../../src/render/tree.js';

const leaf = (kind: TreeNode['kind'], name: string): TreeNode => ({ kind, name, children: [] });
const roots: TreeNode[] = [
  {
    kind: 'mgmtdev',
    name: 'pci/0000:03:00.2',
    detail: 'net',
    children: [
      {
        kind: 'dev',
        name: 'a"]\\\udcff',
        detail: 'net',
        children: [{ kind: 'driver', name: 'vhost_vdpa', children: [leaf('vhost', '/dev/vhost-vdpa-0')] }],
      },
      leaf('dev', 'b'),
    ],
  },
  { kind: 'mgmtdev', name: 'vduse', detail: '', children: [] },
];

test('a tree is drawn with lines', () => {
  assert.equal(
    drawTree(roots, plain),
    [
      'pci/0000:03:00.2 (net)',
      '├── a"]\\\udcff (net)',
      '│   └── vhost_vdpa',
      '│       └── /dev/vhost-vdpa-0',
      '└── b',
      'vduse',
      '',
    ].join('\n'),
  );
});

test('names are colored if requested, bold on a dark background', async () => {
  assert.equal(drawTree([leaf('dev', 'a')], await loadPaint(undefined)), '\x1b[36ma\x1b[39m\n');
  assert.equal(drawTree([leaf('driver', 'a')], await loadPaint('0;15')), 'a\n');
  assert.equal(drawTree([leaf('dev', 'a')], await loadPaint('15;0')), '\x1b[1m\x1b[36ma\x1b[39m\x1b[22m\n');
});

test('every character of a name is escaped for Mermaid and Graphviz', () => {
  const mermaid = formatMermaid(roots).split('\n');
  assert.equal(mermaid[0], 'flowchart LR');
  assert.equal(mermaid[1], '  n0["pci/0000:03:00.2<br>net"]');
  assert.equal(mermaid[2], '  n1["a#34;#93;#92;#65533;<br>net"]');
  assert.deepEqual(mermaid.slice(-5), ['  n0 --> n1', '  n1 --> n2', '  n2 --> n3', '  n0 --> n4', ''].slice(-5));
  const dot = formatDot(roots).split('\n');
  assert.equal(dot[4], '  n1 [label="a\\"]\\\\\ufffd\\nnet"];');
  assert.equal(dot.at(-2), '}');
});

test('JSON nests', () => {
  let text = '';
  const printer = new JsonPrinter(new Output((part) => (text += part)));
  printer.openRow();
  renderTree(printer, roots);
  printer.closeRow();
  printer.finish();
  const parsed = JSON.parse(text) as { tree: TreeNode[] };
  assert.equal(parsed.tree[0]?.children[0]?.children[0]?.children[0]?.name, '/dev/vhost-vdpa-0');
  assert.deepEqual(parsed.tree[1], { kind: 'mgmtdev', name: 'vduse', detail: '', children: [] });
});
