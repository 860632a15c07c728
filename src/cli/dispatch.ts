import type { CommandClass } from './command.js';
import { UsageError } from './error.js';
import { isPrefix } from './grammar.js';
import { mainHelp, usageOf } from './help.js';
import type { Session } from './session.js';

/** A word of the command tree. */
interface Node {
  readonly word: string;
  /** Any beginning of the word stands for it. */
  readonly abbreviable: boolean;
}

interface Leaf extends Node {
  readonly load: () => Promise<{ readonly default: CommandClass }>;
}

interface Branch extends Node {
  readonly children: readonly (Leaf | Branch)[];
  /** What it does where no word follows: the child of that name, its help, or its help as a complaint. */
  readonly bare: 'show' | 'help' | 'refuse';
  /** Whether `help` may be shortened there. */
  readonly shortHelp: boolean;
}

/** The commands, in the order in which iproute2 tries them: the first word that matches is taken. */
const objects: readonly Branch[] = [
  {
    word: 'mgmtdev',
    abbreviable: true,
    bare: 'help',
    shortHelp: true,
    children: [
      { word: 'show', abbreviable: true, load: () => import('../commands/mgmtdev/show.js') },
      { word: 'list', abbreviable: true, load: () => import('../commands/mgmtdev/show.js') },
    ],
  },
  {
    word: 'dev',
    abbreviable: true,
    bare: 'show',
    shortHelp: true,
    children: [
      { word: 'show', abbreviable: true, load: () => import('../commands/dev/show.js') },
      { word: 'list', abbreviable: true, load: () => import('../commands/dev/show.js') },
      { word: 'add', abbreviable: true, load: () => import('../commands/dev/add.js') },
      { word: 'del', abbreviable: true, load: () => import('../commands/dev/del.js') },
      {
        word: 'config',
        abbreviable: true,
        bare: 'show',
        shortHelp: true,
        children: [{ word: 'show', abbreviable: true, load: () => import('../commands/dev/config/show.js') }],
      },
      {
        word: 'vstats',
        abbreviable: false,
        bare: 'refuse',
        shortHelp: false,
        children: [{ word: 'show', abbreviable: false, load: () => import('../commands/dev/vstats/show.js') }],
      },
      {
        word: 'features',
        abbreviable: false,
        bare: 'show',
        shortHelp: false,
        children: [{ word: 'show', abbreviable: false, load: () => import('../commands/dev/features/show.js') }],
      },
      {
        word: 'stats',
        abbreviable: false,
        bare: 'show',
        shortHelp: false,
        children: [{ word: 'show', abbreviable: false, load: () => import('../commands/dev/stats/show.js') }],
      },
      { word: 'set', abbreviable: false, load: () => import('../commands/dev/set.js') },
    ],
  },
];

function matches(node: Node, word: string): boolean {
  return node.abbreviable ? isPrefix(word, node.word) : word === node.word;
}

/**
 * Finds the command that the words begin with and runs it with the rest of them.
 * @throws UsageError where there is none; and whatever the command throws
 */
export async function dispatch(session: Session, words: readonly string[]): Promise<void> {
  const [object, ...rest] = words;
  if (object === undefined || isPrefix(object, 'help')) {
    say(session, mainHelp);
    return;
  }
  const branch = objects.find((node) => matches(node, object));
  if (!branch) throw new UsageError(`Object "${object}" not found`);
  await enter(branch, session, rest);
}

async function enter(branch: Branch, session: Session, words: readonly string[]): Promise<void> {
  const [word, ...rest] = words;
  if (word === undefined && branch.bare === 'refuse') throw new UsageError(...(await help(branch)));
  if (word === undefined ? branch.bare === 'help' : branch.shortHelp ? isPrefix(word, 'help') : word === 'help') {
    say(session, await help(branch));
    return;
  }
  const child = branch.children.find((node) => (word === undefined ? node.word === branch.bare : matches(node, word)));
  if (!child) throw new UsageError(`Command "${word ?? ''}" not found`);
  if ('children' in child) {
    await enter(child, session, rest);
    return;
  }
  const { default: CommandType } = await child.load();
  await new CommandType().execute(session, rest);
}

/** The usage of all commands under a word, each once. */
async function help(branch: Branch): Promise<string[]> {
  return usageOf(await commandsUnder(branch));
}

async function commandsUnder(branch: Branch): Promise<Set<CommandClass>> {
  const found = new Set<CommandClass>();
  for (const child of branch.children) {
    if ('children' in child) for (const command of await commandsUnder(child)) found.add(command);
    else found.add((await child.load()).default);
  }
  return found;
}

function say(session: Session, lines: readonly string[]): void {
  session.io.stderr(`${lines.join('\n')}\n`);
}
