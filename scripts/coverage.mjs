// Which lines of src/ the tests that need no kernel run, by folder, from what V8 counts (NODE_V8_COVERAGE).
//
// Lines are counted in build/src/, without comments and types. A line counts as covered if any process or thread runs a part
// of it.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { root } from './project.mjs';

/** The share of the lines of a folder of src/ that must be covered, in percent. */
const floors = {
  virtio: 95,
  netlink: 95,
  rtnetlink: 95,
  nbd: 95,
  vdpa: 95,
  sim: 95,
  'vduse/engine': 85,
  'vduse/block': 85,
  'vduse/net': 85,
  render: 90,
  commands: 90,
  cli: 90,
  host: 90,
  benchmark: 75,
};

/**
 * Only run in the bundle or in the single executable, whose lines are not those of src/: test/cli/launcher.test.ts,
 * executable.test.ts and test/package/binary.test.ts test them.
 */
const bundleOnly = [
  'cli/executable.js',
  'cli/launcher.js',
  'cli/oclif-command.js',
  'cli/parts.js',
  'sys/assets.js',
  'sys/embedded-module.js',
  'vduse/engine/embedded-modules.js',
];

const base = join(root, 'build/src');

/**
 * @typedef {{ start: number, end: number, covered: boolean }} Line a line with code, from its first to its last character
 * @typedef {{ folder: string, lines: number, covered: number, floor: number | undefined }} FolderCoverage
 */

/**
 * Reads what the processes of a test run have written.
 * @param {string} directory
 * @returns {{ folders: FolderCoverage[], files: Map<string, Line[]> }} files by their path in build/src/
 */
export function readCoverage(directory) {
  const files = new Map(sourceFiles().map((name) => [name, linesOf(readFileSync(join(base, name), 'utf8'))]));
  const prefix = `${pathToFileURL(base).href}/`;
  for (const name of readdirSync(directory)) {
    for (const { url, functions } of scriptsOf(join(directory, name))) {
      if (!url.startsWith(prefix)) continue;
      const lines = files.get(relative(base, fileURLToPath(url.replace(/[?#].*$/, ''))));
      if (lines) markCovered(lines, functions);
    }
  }
  return { folders: byFolder(files), files };
}

/** The scripts of one process or thread; none if it was killed while it wrote them. */
function scriptsOf(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).result;
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

function sourceFiles() {
  return readdirSync(base, { recursive: true })
    .filter((name) => name.endsWith('.js') && !name.startsWith('generated/') && !bundleOnly.includes(name))
    .sort();
}

/** @returns {Line[]} */
function linesOf(text) {
  return [...text.matchAll(/^[^\S\n]*(?!\/\/)(\S.*)$/gm)].map(({ index, 0: whole, 1: code }) => {
    const end = index + whole.trimEnd().length;
    return { start: end - code.trimEnd().length, end, covered: false };
  });
}

/** Marks the lines that ran, according to the ranges of one process: an inner range follows the one that contains it. */
function markCovered(lines, functions) {
  const ran = new Array(lines.length).fill(false);
  for (const { startOffset, endOffset, count } of functions.flatMap(({ ranges }) => ranges)) {
    for (let at = firstFrom(lines, startOffset); at < lines.length && lines[at].end <= endOffset; at++)
      ran[at] = count > 0;
  }
  ran.forEach((value, at) => (lines[at].covered ||= value));
}

/** The first line that starts at an offset or after it. */
function firstFrom(lines, offset) {
  let low = 0;
  for (let high = lines.length; low < high;) {
    const middle = (low + high) >>> 1;
    if (lines[middle].start < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A file belongs to the innermost folder with a floor that contains it, otherwise to its layer. */
function folderOf(name) {
  const inFloor = Object.keys(floors).filter((folder) => name.startsWith(`${folder}/`));
  return inFloor.sort((a, b) => b.length - a.length)[0] ?? (name.includes('/') ? name.split('/')[0] : '(files)');
}

/** @returns {FolderCoverage[]} */
function byFolder(files) {
  const folders = new Map();
  for (const [name, lines] of files) {
    const folder = folderOf(name);
    const sum = folders.get(folder) ?? { folder, lines: 0, covered: 0, floor: floors[folder] };
    folders.set(folder, sum);
    sum.lines += lines.length;
    sum.covered += lines.filter(({ covered }) => covered).length;
  }
  return [...folders.values()].sort((a, b) => (a.folder < b.folder ? -1 : 1));
}

/** Percent, rounded down, so that a floor that is just missed does not look reached. */
const percentOf = ({ lines, covered }) => (lines === 0 ? 100 : Math.floor((covered / lines) * 1000) / 10);

/** A table of the folders. */
export function formatCoverage({ folders }) {
  const rows = folders.map((entry) => {
    const { folder, lines, floor } = entry;
    const columns = [
      String(lines).padStart(6),
      percentOf(entry).toFixed(1).padStart(8),
      String(floor ?? '').padStart(6),
    ];
    return `${folder.padEnd(14)}${columns.join('')}`;
  });
  return ['Lines covered by the tests that need no kernel', 'folder         lines      %   floor', ...rows].join('\n');
}

/** A message for each folder below its floor: the files, and the lines that no test runs. */
export function checkFloors({ folders, files }) {
  return folders
    .filter((entry) => entry.floor !== undefined && percentOf(entry) < entry.floor)
    .flatMap((entry) => [
      `src/${entry.folder}: ${percentOf(entry)}% of the lines are covered, ${entry.floor}% are required. Not covered:`,
      ...[...files]
        .filter(([name, lines]) => folderOf(name) === entry.folder && lines.some(({ covered }) => !covered))
        .map(([name, lines]) => `  src/${name.replace(/js$/, 'ts')}: ${uncoveredLines(name, lines)}`),
    ]);
}

/** Lines of a file in src/ that are not covered, as text: `12-14, 20`. */
function uncoveredLines(name, lines) {
  const text = readFileSync(join(base, name), 'utf8');
  const starts = [0];
  for (const { index } of text.matchAll(/\n/g)) starts.push(index + 1);
  const mapFile = join(base, `${name}.map`);
  const map = existsSync(mapFile) ? new SourceMap(JSON.parse(readFileSync(mapFile, 'utf8'))) : undefined;
  const numbers = lines
    .filter(({ covered }) => !covered)
    .map(({ start }) => {
      const line = starts.findLastIndex((offset) => offset <= start);
      return (map?.findEntry(line, start - starts[line]).originalLine ?? line) + 1;
    });
  const runs = [];
  for (const number of [...new Set(numbers)].sort((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last && number <= last.end + 2) last.end = number;
    else runs.push({ start: number, end: number });
  }
  return runs.map(({ start, end }) => (start === end ? `${start}` : `${start}-${end}`)).join(', ');
}
