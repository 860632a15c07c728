/** Usage texts. Like iproute2's they go to stderr. */
import { optionTable } from './option-table.js';
import { tree } from './tree.js';

/** What `vdpa help` says. */
export function mainHelp(): string[] {
  const objects = tree.children.map(({ words: [word] }) => word);
  const options = optionTable.map(({ name, short }) =>
    short === undefined ? `--${name}` : `-${short}[${name.slice(1)}]`,
  );
  return [
    'Usage: vdpa [ OPTIONS ] OBJECT { COMMAND | help }',
    `where  OBJECT := { ${objects.join(' | ')} }`,
    `       OPTIONS := { ${options.join(' | ')} }`,
  ];
}

/** The usage of several commands, one below the other. */
export function usageOf(commands: Iterable<{ readonly usage: readonly string[] }>): string[] {
  return [...commands]
    .flatMap(({ usage }) => usage)
    .map((line, index) => `${index === 0 ? 'Usage: ' : '       '}${line}`);
}
