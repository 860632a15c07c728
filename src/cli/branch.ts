/** What a tree of commands is made of: the dispatcher, the help and the completions read one. */
import type { CommandClass } from './command.js';

/** A word of the tree. */
interface TreeNode {
  /** The word, and others that mean the same. */
  readonly words: readonly [string, ...string[]];
  /** Any beginning of a word stands for it. */
  readonly abbreviable: boolean;
}

/** A word that names a command. */
export interface Leaf extends TreeNode {
  readonly load: () => Promise<{ readonly default: CommandClass }>;
}

/** A word that others follow. */
export interface Branch extends TreeNode {
  /** What it is about, for completions. */
  readonly summary: string;
  readonly children: readonly (Leaf | Branch)[];
  /** What it does where no word follows: the child of that name, its help, or its help as a complaint. */
  readonly bare: 'show' | 'help' | 'refuse';
  /** Whether `help` may be shortened there. */
  readonly shortHelp: boolean;
  /** The tree itself, whose words are objects: what they name may be a command or have commands. */
  readonly isRoot?: true;
}
