import type { Io } from './io.js';

/**
 * Whether text may contain non-ASCII characters, according to the locale; true without one. As in systemd, only an
 * explicit C or POSIX locale, or another character set, is ASCII.
 */
export function isUtf8Locale(env: NodeJS.ProcessEnv): boolean {
  const locale = [env['LC_ALL'], env['LC_CTYPE'], env['LANG']].find((value) => value !== undefined && value !== '');
  return locale === undefined || /utf-?8/i.test(locale);
}

/** Whether the terminal supports cursor movement and colors. */
export function supportsEscapes(env: NodeJS.ProcessEnv): boolean {
  return env['TERM'] !== 'dumb';
}

/** The width of output: COLUMNS, or that of the terminal; undefined for unlimited. */
export function outputWidth({ env, terminalSize }: Io): number | undefined {
  const said = env['COLUMNS'];
  return said !== undefined && /^[1-9][0-9]{0,4}$/.test(said) ? Number(said) : terminalSize?.()?.columns;
}
