/** Trees of devices: drawn with lines, and in the languages of Mermaid and Graphviz. */
import type { TreeNode } from '../host/tree.js';
import type { Paint } from './paint.js';
import type { Printer } from './printer.js';

/** The prefixes of a node and of the nodes below it: for a node with siblings after it, and for the last one. */
interface Branches {
  readonly middle: readonly [lead: string, below: string];
  readonly last: readonly [lead: string, below: string];
}

const drawn: Branches = { middle: ['├── ', '│   '], last: ['└── ', '    '] };
/** As tree(1) draws it with --charset=ascii. */
const typed: Branches = { middle: ['|-- ', '|   '], last: ['`-- ', '    '] };

/**
 * Draws trees with lines, one node per line.
 * @param utf8 whether characters other than ASCII may be used
 */
export function drawTree(roots: readonly TreeNode[], paint: Paint, utf8 = true): string {
  return roots.map((root) => drawNode(root, '', '', paint, utf8 ? drawn : typed)).join('');
}

function drawNode(node: TreeNode, lead: string, below: string, paint: Paint, branches: Branches): string {
  const detail = node.detail === undefined || node.detail === '' ? '' : ` (${node.detail})`;
  const name = node.kind === 'driver' ? node.name : paint('name', node.name);
  const children = node.children.map((child, index) => {
    const [first, rest] = index === node.children.length - 1 ? branches.last : branches.middle;
    return drawNode(child, below + first, below + rest, paint, branches);
  });
  return `${lead}${name}${detail}\n${children.join('')}`;
}

/** Prints trees as nested lists, for JSON. */
export function renderTree(printer: Printer, roots: readonly TreeNode[], key = 'tree'): void {
  printer.openRows(key);
  for (const { kind, name, detail, children } of roots) {
    printer.openRow();
    printer.string('kind', kind, '');
    printer.string('name', name, ' ');
    if (detail !== undefined) printer.string('detail', detail, ' ');
    renderTree(printer, children, 'children');
    printer.closeRow();
  }
  printer.closeRows();
}

/** A flowchart of mermaid.js.org. */
export function formatMermaid(roots: readonly TreeNode[]): string {
  const { nodes, edges } = flatten(roots);
  const quote = (text: string): string => text.replace(/[^\w /.:!-]/gu, (character) => `#${codePoint(character)};`);
  const lines = [
    ...nodes.map(({ id, node }) => {
      const label = [node.name, node.detail].filter(Boolean).map((text) => quote(text ?? ''));
      return `${id}["${label.join('<br>')}"]`;
    }),
    ...edges.map(([from, to]) => `${from} --> ${to}`),
  ];
  return ['flowchart LR', ...lines.map((line) => `  ${line}`), ''].join('\n');
}

/** A graph of graphviz.org. */
export function formatDot(roots: readonly TreeNode[]): string {
  const { nodes, edges } = flatten(roots);
  const quote = (text: string): string => wellFormed(text).replace(/["\\]/g, (character) => `\\${character}`);
  const lines = [
    'rankdir=LR;',
    'node [shape=box];',
    ...nodes.map(({ id, node }) => {
      const label = [node.name, node.detail].filter(Boolean).map((text) => quote(text ?? ''));
      return `${id} [label="${label.join('\\n')}"];`;
    }),
    ...edges.map(([from, to]) => `${from} -> ${to};`),
  ];
  return ['digraph vdpa {', ...lines.map((line) => `  ${line}`), '}', ''].join('\n');
}

interface Graph {
  readonly nodes: { readonly id: string; readonly node: TreeNode }[];
  readonly edges: (readonly [from: string, to: string])[];
}

/** Every node with a unique name, and its parent. */
function flatten(roots: readonly TreeNode[]): Graph {
  const graph: Graph = { nodes: [], edges: [] };
  const add = (node: TreeNode, parent: string | undefined): void => {
    const id = `n${graph.nodes.length}`;
    graph.nodes.push({ id, node });
    if (parent !== undefined) graph.edges.push([parent, id]);
    for (const child of node.children) add(child, id);
  };
  for (const root of roots) add(root, undefined);
  return graph;
}

/** The code point of a character, or that of the replacement character for a byte that is not UTF-8. */
function codePoint(character: string): number {
  return wellFormed(character).codePointAt(0) ?? 0xfffd;
}

function wellFormed(text: string): string {
  return text.replace(/[\ud800-\udfff]/gu, '\ufffd');
}
