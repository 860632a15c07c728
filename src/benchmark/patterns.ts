/** Orders of requests to a disk, with the names of fio. */

/** One after another or at random; reads, writes, or half of each. */
export const blockPatterns = ['read', 'write', 'randread', 'randwrite', 'rw', 'randrw'] as const;
export type BlockPattern = (typeof blockPatterns)[number];

/** What a pattern consists of. */
export function operationsOf(pattern: BlockPattern): readonly ('read' | 'write')[] {
  if (pattern.endsWith('rw')) return ['read', 'write'];
  return [pattern.endsWith('read') ? 'read' : 'write'];
}

/** Whether requests of a pattern overwrite data. */
export function overwrites(pattern: BlockPattern): boolean {
  return operationsOf(pattern).includes('write');
}
