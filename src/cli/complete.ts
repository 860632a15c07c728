/**
 * Completions. The scripts for shells in completions/ ask the program itself, so that commands, keywords and names on
 * the machine are defined in one place only.
 */
import { readdirSync, statSync, type Dirent } from 'node:fs';
import { join } from 'node:path';
import { homeFolder } from '../sys/home-folder.js';
import type { CommandClass } from './command.js';
import type { Branch } from './branch.js';
import { findChild } from './dispatch.js';
import { findKeyword, type CompletionKind } from './grammar.js';
import type { Io } from './io.js';
import { colorChoices, parseOptions, readOption, type FoundOption } from './options.js';
import { optionTable, type OptionName } from './option-table.js';
import { Session } from './session.js';

/** A candidate for the word at the cursor, and its meaning. */
interface Candidate {
  readonly word: string;
  readonly meaning?: string | undefined;
}

/**
 * Prints the completions of the last argument, one per line, each followed by a tab and its meaning. Prints nothing if
 * there are none: missing kernel support is not an error here.
 * @param args the arguments after `vdpa` up to the cursor; the last one, which may be empty, is being typed
 * @param tree all commands
 * @returns the exit status: always 0
 */
export async function complete(args: readonly string[], io: Io, tree: Branch): Promise<number> {
  const current = args.at(-1) ?? '';
  const candidates = await candidatesAfter(args.slice(0, -1), current, io, tree).catch(() => []);
  for (const { word, meaning } of candidates) {
    // Each line contains one candidate: names with control characters are not supported.
    if (word.startsWith(current) && !/\p{Cc}/u.test(word)) io.stdout(`${word}\t${meaning ?? ''}\n`);
  }
  return 0;
}

async function candidatesAfter(
  before: readonly string[],
  current: string,
  io: Io,
  tree: Branch,
): Promise<readonly Candidate[]> {
  const value = optionValue(before, io);
  if (value === 'batch') return filesAt(current, io);
  const line = parseOptions(value === 'output' ? before.slice(0, -1) : before, io.env);
  if (line.kind !== 'command') return [];
  if (value === 'output') return outputsOf(line.args, tree);
  if (current.startsWith('-') && !before.includes('--')) {
    const joined = joinedValue(current);
    if (joined) {
      const values = await valuesOf(joined.name, joined.value, io, () => outputsOf(line.args, tree));
      return values.map(({ word, meaning }) => ({ word: joined.lead + word, meaning }));
    }
    return optionTable.map(({ name, summary }) => ({ word: `--${name}`, meaning: summary }));
  }
  let branch: Branch = tree;
  for (const [index, name] of line.args.entries()) {
    const child = findChild(branch, name);
    if (!child) return [];
    if (!('children' in child)) {
      const { default: command } = await child.load();
      const kinds = nextKinds(command, line.args.slice(index + 1));
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

/** The option whose value starts in the same word: `--batch=st`, `-bst`. `lead` is the text before the value. */
function joinedValue(current: string): { lead: string; name: OptionName; value: string } | undefined {
  let last: FoundOption | undefined;
  try {
    for (last of readOption(current, []));
  } catch {
    return undefined;
  }
  if (last?.value === undefined) return undefined;
  const { name, value } = last;
  return { lead: current.slice(0, current.length - value.length), name, value };
}

/** The candidates for the value of an option. @param outputs the output formats of the command */
async function valuesOf(
  name: OptionName,
  value: string,
  io: Io,
  outputs: () => Promise<Candidate[]>,
): Promise<Candidate[]> {
  switch (name) {
    case 'batch':
      // The shell expands "~" only at the start of a word.
      return value.startsWith('~') ? [] : filesAt(value, io);
    case 'output':
      return outputs();
    case 'color':
      return colorChoices.map((word) => ({ word }));
    default:
      return [];
  }
}

/** The option whose value is the next word, if that can be completed. */
function optionValue(before: readonly string[], io: Io): 'batch' | 'output' | undefined {
  const line = parseOptions([...before, PROBE], io.env);
  if (line.kind === 'batch' && line.file === PROBE) return 'batch';
  return line.kind === 'command' && line.options.output === PROBE ? 'output' : undefined;
}

/** A word that is never typed. */
const PROBE = '\0';

/** The output formats of a command, for -o. */
async function outputsOf(args: readonly string[], tree: Branch): Promise<Candidate[]> {
  let branch: Branch = tree;
  for (const name of args) {
    const child = findChild(branch, name);
    if (!child) return [];
    if (!('children' in child)) return (await child.load()).default.outputs.map((output) => ({ word: output }));
    branch = child;
  }
  return [];
}

/** The words that may follow a node of the tree. */
async function childrenOf(branch: Branch): Promise<Candidate[]> {
  const children = branch.children.map(async (child): Promise<Candidate> => {
    const { summary } = 'children' in child ? child : (await child.load()).default;
    return { word: child.names[0], meaning: summary };
  });
  return [...(await Promise.all(children)), { word: 'help', meaning: 'show usage' }];
}

/** The candidates for the word after the arguments of a command. */
function nextKinds({ operand, alternatives, keywords }: CommandClass, args: readonly string[]): CompletionKind[] {
  if (operand !== undefined) {
    const [first] = args;
    if (first === undefined) return [operand, Object.keys(alternatives)];
    const kind = args.length === 1 ? alternatives[first]?.completes : undefined;
    if (kind !== undefined) return [kind];
  }
  const left = new Set(Object.keys(keywords));
  for (let at = operand === undefined ? 0 : 1; at < args.length;) {
    const [full, keyword] = findKeyword(keywords, args[at] ?? '') ?? [];
    if (full === undefined || keyword === undefined) return [];
    left.delete(full);
    const takesValue = keyword.placeholder !== undefined;
    if (takesValue && at === args.length - 1) return keyword.completes === undefined ? [] : [keyword.completes];
    at += takesValue ? 2 : 1;
  }
  return [[...left]];
}

/** The words of a kind on this machine, possibly only those that match the one being typed. */
async function wordsOf(kind: CompletionKind, session: Session, current: string): Promise<Candidate[]> {
  switch (kind) {
    case 'device':
      return (await (await session.client()).devices()).map(({ name, managementDevice }) => ({
        word: name,
        meaning: `on ${managementDevice}`,
      }));
    case 'management device':
      return (await (await session.client()).managementDevices()).map((device) => ({ word: device.handle }));
    case 'file':
      return filesAt(current, session.io);
    case 'check':
      return checkNames();
    default:
      return kind.map((word) => ({ word }));
  }
}

/** The groups of checks of devices, then the checks. */
async function checkNames(): Promise<Candidate[]> {
  const [{ allChecks }, { checkGroups }] = await Promise.all([
    import('../conformance/catalogue.js'),
    import('../conformance/select.js'),
  ]);
  return [
    ...checkGroups.map((word) => ({ word, meaning: `all checks that begin with ${word}-` })),
    ...allChecks.map(({ name, rule }) => ({ word: name, meaning: rule })),
  ];
}

/**
 * The entries of the folder that a path leads to. Folders end with a slash, so that typing can continue. `~/` is kept:
 * the shell expands it when the line runs.
 */
function filesAt(path: string, { env }: Io): Candidate[] {
  const folder = path.slice(0, path.lastIndexOf('/') + 1);
  const place = folder.startsWith('~/') ? join(homeFolder(env) ?? '~', folder.slice(1)) : folder;
  const names = readdirSync(place === '' ? '.' : place, { withFileTypes: true }).map((entry) =>
    isFolder(entry) ? `${entry.name}/` : entry.name,
  );
  return names.sort().map((name) => ({ word: folder + name }));
}

/** Whether an entry is a folder, or a link to one. */
function isFolder(entry: Dirent): boolean {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  try {
    return statSync(join(entry.parentPath, entry.name)).isDirectory();
  } catch {
    // A dangling link, or one to a folder that this user may not read.
    return false;
  }
}
