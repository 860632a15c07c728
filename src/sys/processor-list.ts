/** Lists of processors as the kernel, taskset(1) and systemd write them: `0-3,5`. */

/** As many as Linux supports, CONFIG_NR_CPUS. */
export const MAX_PROCESSORS = 8192;

/** @returns the numbers in the order of the list; undefined for an invalid list */
export function parseProcessorList(text: string): number[] | undefined {
  const processors: number[] = [];
  for (const part of text.split(',')) {
    const [, from, to = from] = /^([0-9]+)(?:-([0-9]+))?$/.exec(part) ?? [];
    const [first, last] = [Number(from), Number(to)];
    if (!(first <= last && last < MAX_PROCESSORS)) return undefined;
    for (let processor = first; processor <= last; processor++) processors.push(processor);
    if (processors.length > MAX_PROCESSORS) return undefined;
  }
  return processors;
}

/** @param processors in ascending order */
export function formatProcessorList(processors: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const processor of processors) {
    const range = ranges.at(-1);
    if (range?.[1] === processor - 1) range[1] = processor;
    else ranges.push([processor, processor]);
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}
