/** Usage texts. Like iproute2's they go to stderr. */

/** What `vdpa help` says. */
export const mainHelp: readonly string[] = [
  'Usage: vdpa [ OPTIONS ] OBJECT { COMMAND | help }',
  'where  OBJECT := { mgmtdev | dev }',
  '       OPTIONS := { -V[ersion] | -n[o-nice-names] | -j[son] | -p[retty] }',
];

/** The usage of several commands, one below the other. */
export function usageOf(commands: Iterable<{ readonly usage: readonly string[] }>): string[] {
  return [...commands]
    .flatMap(({ usage }) => usage)
    .map((line, index) => `${index === 0 ? 'Usage: ' : '       '}${line}`);
}
