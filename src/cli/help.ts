/** Usage texts. They go to stderr, like iproute2's. */
import type { Keywords } from './grammar.js';
import { objectNames } from './objects.js';
import { optionTable } from './option-table.js';

/** Maximum width of the main help, in characters. */
const maxWidth = 80;

/** Maximum width of a command's usage, without the prefix. */
const maxUsageWidth = 100;

/** The output of `vdpa help`. */
export function mainHelp(): string[] {
  const options = optionTable.map(({ name, short }) =>
    short === undefined ? `--${name}` : `-${short}[${name.slice(1)}]`,
  );
  return [
    'Usage: vdpa [ OPTIONS ] OBJECT { COMMAND | help }',
    ...choice('where  OBJECT := { ', objectNames),
    ...choice('       OPTIONS := { ', options),
  ];
}

/** `lead a | b | c }`, on as many lines as needed. */
function choice(lead: string, words: readonly string[]): string[] {
  const lines: string[] = [];
  let line = lead;
  for (const [index, word] of words.entries()) {
    const next = word + (index === words.length - 1 ? ' }' : ' |');
    if (line.length + next.length > maxWidth) {
      lines.push(line.trimEnd());
      line = ' '.repeat(lead.length);
    }
    line += `${next} `;
  }
  return [...lines, line.trimEnd()];
}

/** A usage line with its parts, continued below if they do not fit. */
export function wrapUsage(lead: string, parts: readonly string[]): string[] {
  const lines: string[] = [];
  let line = lead;
  for (const part of parts) {
    if (line.length + 1 + part.length > maxUsageWidth && line.trim() !== '') {
      lines.push(line);
      line = ' '.repeat(lead.length);
    }
    line += ` ${part}`;
  }
  return [...lines, line];
}

/** The help of one command: its usage, and the meaning of its arguments. */
export function commandHelp(command: { readonly usage: readonly string[]; readonly keywords: Keywords }): string[] {
  const rows = Object.entries(command.keywords).flatMap(([word, { placeholder, help }]) =>
    help === undefined ? [] : [[placeholder === undefined ? word : `${word} ${placeholder}`, help] as const],
  );
  const width = Math.max(...rows.map(([form]) => form.length));
  const list = rows.map(([form, help]) => `  ${form.padEnd(width)}  ${help}`);
  return [...usageOf([command]), ...(list.length === 0 ? [] : ['', ...list])];
}

/** The usage of several commands, one below the other. */
export function usageOf(commands: Iterable<{ readonly usage: readonly string[] }>): string[] {
  return [...commands]
    .flatMap(({ usage }) => usage)
    .map((line, index) => `${index === 0 ? 'Usage: ' : '       '}${line}`);
}
