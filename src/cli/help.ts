/** Usage texts. Like iproute2's they go to stderr. */
import { objectNames } from './objects.js';
import { optionTable } from './option-table.js';

/** How wide a line of the main help may be, in characters. */
const maxWidth = 80;

/** What `vdpa help` says. */
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

/** `lead a | b | c }`, on as many lines as it takes. */
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

/** The usage of several commands, one below the other. */
export function usageOf(commands: Iterable<{ readonly usage: readonly string[] }>): string[] {
  return [...commands]
    .flatMap(({ usage }) => usage)
    .map((line, index) => `${index === 0 ? 'Usage: ' : '       '}${line}`);
}
