import type { CommandClass } from './command.js';
import type { Branch, Leaf } from './branch.js';
import { UsageError } from './error.js';
import { isPrefix } from './grammar.js';
import { commandHelp, mainHelp, usageOf } from './help.js';
import type { Options } from './options.js';
import type { Session } from './session.js';

/**
 * Finds the command that the arguments name and runs it with the rest of them.
 * @param branch the node to start from
 * @throws UsageError if there is none; whatever the command throws
 */
export async function dispatch(session: Session, args: readonly string[], branch: Branch): Promise<void> {
  const [name, ...rest] = args;
  if (name === undefined && branch.bare === 'refuse') throw new UsageError(...(await helpOn([], branch)));
  if (name === undefined ? branch.bare === 'help' : branch.shortHelp ? isPrefix(name, 'help') : name === 'help') {
    session.io.stderr(`${(await helpOn(rest, branch)).join('\n')}\n`);
    return;
  }
  const child = findChild(branch, name ?? branch.bare);
  if (!child) throw new UsageError(`${branch.isRoot ? 'Object' : 'Command'} "${name ?? ''}" not found`);
  if ('children' in child) {
    await dispatch(session, rest, child);
    return;
  }
  const { default: CommandType } = await child.load();
  if (rest.length === 1 && rest[0] === 'help' && takesHelp(branch, CommandType)) {
    session.io.stderr(`${commandHelp(CommandType).join('\n')}\n`);
    return;
  }
  refuseStrayOptions(CommandType, session.options);
  await new CommandType().execute(session, rest);
}

/**
 * Whether `help` after a command asks for its help instead of being an argument. Objects that are commands have help
 * too: a file of that name can be written ./help.
 */
function takesHelp({ isRoot }: Branch, { operand }: CommandClass): boolean {
  return isRoot === true || operand === undefined;
}

/**
 * The help of what the words name: a command, or all commands of an object. Further words are ignored, and an unknown
 * word ends the search.
 * @param branch the node to start from
 */
export async function helpOn(args: readonly string[], branch: Branch): Promise<string[]> {
  const [name, ...rest] = args;
  const child = name === undefined ? undefined : findChild(branch, name);
  if (child === undefined) return branch.isRoot ? mainHelp() : usageOf(await commandsUnder(branch));
  return 'children' in child ? helpOn(rest, child) : commandHelp((await child.load()).default);
}

/** Rejects options that would have no effect on this command. @throws UsageError */
function refuseStrayOptions({ outputs, tables, watches }: CommandClass, options: Options): void {
  const { output, json, table, watch } = options;
  if (table && !tables) throw new UsageError('--table is not supported by this command');
  if (table && watch) throw new UsageError('-w and --table are mutually exclusive');
  if (watch && !watches) throw new UsageError('-w is not supported by this command');
  if (output === undefined) return;
  if (!outputs.includes(output)) {
    const known = outputs.length === 0 ? 'only text and JSON are supported' : `expected ${outputs.join(', ')}`;
    throw new UsageError(`Unsupported output format "${output}": ${known}`);
  }
  if (json) throw new UsageError('-j and -o are mutually exclusive');
  if (watch || table) throw new UsageError(`${watch ? '-w' : '--table'} and -o are mutually exclusive`);
}

/** The child that a word names. */
export function findChild(branch: Branch, name: string): Leaf | Branch | undefined {
  return branch.children.find(({ names, abbreviable }) =>
    names.some((full) => (abbreviable ? isPrefix(name, full) : name === full)),
  );
}

/** All commands below a node. */
export async function commandsUnder(branch: Branch): Promise<CommandClass[]> {
  const found: CommandClass[] = [];
  for (const child of branch.children) {
    if ('children' in child) found.push(...(await commandsUnder(child)));
    else found.push((await child.load()).default);
  }
  return found;
}
