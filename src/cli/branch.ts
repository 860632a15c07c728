/** The types of the command tree, which the dispatcher, the help and the completions read. */
import type { CommandClass } from './command.js';

/** A node of the tree. */
interface TreeNode {
  /** Its name, and synonyms. */
  readonly names: readonly [string, ...string[]];
  /** Any prefix of a name stands for it. */
  readonly abbreviable: boolean;
}

/** A command. */
export interface Leaf extends TreeNode {
  readonly load: () => Promise<{ readonly default: CommandClass }>;
}

/** A node with children. */
export interface Branch extends TreeNode {
  /** Its subject, for completions. */
  readonly summary: string;
  readonly children: readonly (Leaf | Branch)[];
  /** What it does if no argument follows: run the child of that name, print its help, or fail with its help. */
  readonly bare: 'show' | 'help' | 'refuse';
  /** Whether `help` may be abbreviated there. */
  readonly shortHelp: boolean;
  /** The tree itself, whose children are objects: commands, or nodes with commands. */
  readonly isRoot?: true;
}
