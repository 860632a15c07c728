/** The colors of `ip -color`, lib/color.c. */

/** The role of a word that has a color. */
export type Role = 'name' | 'address' | 'up' | 'down';

/** Colors a word by its role. */
export type Paint = (role: Role, text: string) => string;

/** Leaves every word unchanged. */
export const plain: Paint = (_role, text) => text;

/**
 * Loads the painter.
 * @param background value of the variable COLORFGBG: on a dark background colors are bold, as in ip
 */
export async function loadPaint(background: string | undefined): Promise<Paint> {
  const { Chalk } = await import('chalk');
  // Whether to use colors has been decided before.
  const chalk = new Chalk({ level: 1 });
  const shade = isDark(background) ? chalk.bold : chalk;
  const colors = { name: shade.cyan, address: shade.yellow, up: shade.green, down: shade.red };
  return (role, text) => colors[role](text);
}

/** The last number of `15;0` is the background: 0 to 6 and 8 are dark. */
function isDark(background: string | undefined): boolean {
  return /;([0-6]|8)$/.test(background ?? '');
}

/** The role of a value by its key. */
export function roleOf(key: string, value: string): Role | undefined {
  switch (key) {
    case 'mac':
      return 'address';
    case 'netdev':
    case 'block':
    case 'vhost':
      return 'name';
    case 'link ':
      return value === 'up' ? 'up' : 'down';
    default:
      return undefined;
  }
}
