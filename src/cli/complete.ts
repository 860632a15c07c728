/**
 * Completions. The shells' scripts in completions/ ask the program itself, so that commands, keywords and the names on
 * the machine are told in one place only.
 */
import { readdirSync } from 'node:fs';
import { formatHandle } from '../vdpa/model.js';
import type { CommandClass } from './command.js';
import { findChild } from './dispatch.js';
import { findKeyword, type WordKind } from './grammar.js';
import type { Io } from './io.js';
import { parseOptions } from './options.js';
import { optionTable } from './option-table.js';
import { Session } from './session.js';
import { tree, type Branch } from './tree.js';

/** A word that can stand where the cursor is, and what it means. */
interface Candidate {
  readonly word: string;
  readonly meaning?: string | undefined;
}

/**
 * Prints what the last of the words can be made to, a candidate a line, behind a tab what it means.
 * Where nothing can be said nothing is: no kernel support is no error here.
 * @param words what stands behind `vdpa` up to the cursor; the last one, which may be empty, is being typed
 * @returns the exit status: always 0
 */
export async function complete(words: readonly string[], io: Io): Promise<number> {
  const current = words.at(-1) ?? '';
  const candidates = await candidatesAfter(words.slice(0, -1), current, io).catch(() => []);
  for (const { word, meaning } of candidates) {
    // A line holds one candidate: names with control characters cannot be told.
    if (word.startsWith(current) && !/\p{Cc}/u.test(word)) io.stdout(`${word}\t${meaning ?? ''}\n`);
  }
  return 0;
}

async function candidatesAfter(before: readonly string[], current: string, io: Io): Promise<readonly Candidate[]> {
  const value = optionValue(before, io);
  if (value === 'batch') return filesAt(current);
  const line = parseOptions(value === 'output' ? before.slice(0, -1) : before, io.env);
  if (line.kind !== 'command') return [];
  if (value === 'output') return outputsOf(line.words);
  if (current.startsWith('-') && !before.includes('--')) {
    return optionTable.map(({ name, summary }) => ({ word: `--${name}`, meaning: summary }));
  }
  let branch: Branch = tree;
  for (const [index, word] of line.words.entries()) {
    const child = findChild(branch, word);
    if (!child) return [];
    if (!('children' in child)) {
      const { default: command } = await child.load();
      const kinds = nextKinds(command, line.words.slice(index + 1));
      const session = new Session(line.options, io);
      try {
        return (await Promise.all(kinds.map((kind) => wordsOf(kind, session, current)))).flat();
      } finally {
        await session.close();
      }
    }
    branch = child;
  }
  return childrenOf(branch);
}

/** The option that the next word is the value of, where it has one that can be completed. */
function optionValue(before: readonly string[], io: Io): 'batch' | 'output' | undefined {
  const line = parseOptions([...before, PROBE], io.env);
  if (line.kind === 'batch' && line.file === PROBE) return 'batch';
  return line.kind === 'command' && line.options.output === PROBE ? 'output' : undefined;
}

/** A word that nobody writes. */
const PROBE = '\0';

/** The forms of output of a command, for -o. */
async function outputsOf(words: readonly string[]): Promise<Candidate[]> {
  let branch: Branch = tree;
  for (const word of words) {
    const child = findChild(branch, word);
    if (!child) return [];
    if (!('children' in child)) return (await child.load()).default.outputs.map((output) => ({ word: output }));
    branch = child;
  }
  return [];
}

/** The words that may follow a word of the tree. */
async function childrenOf(branch: Branch): Promise<Candidate[]> {
  const children = branch.children.map(async (child): Promise<Candidate> => {
    const { summary } = 'children' in child ? child : (await child.load()).default;
    return { word: child.words[0], meaning: summary };
  });
  return [...(await Promise.all(children)), { word: 'help', meaning: 'how to write it' }];
}

/** What the word behind a command's words can be. */
function nextKinds({ operand, alternatives, keywords }: CommandClass, words: readonly string[]): WordKind[] {
  if (operand !== undefined) {
    const [first] = words;
    if (first === undefined) return [operand, Object.keys(alternatives)];
    const kind = words.length === 1 ? alternatives[first]?.completes : undefined;
    if (kind !== undefined) return [kind];
  }
  const left = new Set(Object.keys(keywords));
  for (let at = operand === undefined ? 0 : 1; at < words.length;) {
    const [full, keyword] = findKeyword(keywords, words[at] ?? '') ?? [];
    if (full === undefined || keyword === undefined) return [];
    left.delete(full);
    const takesValue = keyword.placeholder !== undefined;
    if (takesValue && at === words.length - 1) return keyword.completes === undefined ? [] : [keyword.completes];
    at += takesValue ? 2 : 1;
  }
  return [[...left]];
}

/** The words of a kind that there are on this machine, or those of them that may begin as the one being typed. */
async function wordsOf(kind: WordKind, session: Session, current: string): Promise<Candidate[]> {
  switch (kind) {
    case 'device':
      return (await (await session.client()).devices()).map(({ name, managementDevice }) => ({
        word: name,
        meaning: `on ${formatHandle(managementDevice)}`,
      }));
    case 'management device':
      return (await (await session.client()).managementDevices()).map((device) => ({ word: formatHandle(device) }));
    case 'file':
      return filesAt(current);
    default:
      return kind.map((word) => ({ word }));
  }
}

/** What lies in the folder that a path has come to. A folder ends with a slash, so that typing can go on in it. */
function filesAt(path: string): Candidate[] {
  const folder = path.slice(0, path.lastIndexOf('/') + 1);
  const entries = readdirSync(folder === '' ? '.' : folder, { withFileTypes: true });
  const names = entries.map((entry) => `${entry.name}${entry.isDirectory() ? '/' : ''}`);
  return names.sort().map((name) => ({ word: folder + name }));
}
