/** Variants of command lines. */
import { wordsOf, type Line } from './differential.js';

/** Adds a device of a simulator; its name follows. */
export const NET = 'dev add mgmtdev vdpasim_net name';
export const BLOCK = 'dev add mgmtdev vdpasim_blk name';

/** A device to query. */
export const foo0 = [`${NET} foo0 mac 00:11:22:33:44:55 mtu 9000`] as const;

/** Each line in each output mode. */
export function* inAllModes(
  all: Iterable<Line>,
  modes: readonly (readonly string[])[] = [[], ['-j'], ['-p'], ['-jp']],
): Generator<Line> {
  for (const line of all) for (const mode of modes) yield [...mode, ...wordsOf(line)];
}

/** Each line as text and as JSON. */
export const inBothModes = (all: Iterable<Line>): Iterable<Line> => inAllModes(all, [[], ['-j']]);

/** A line with words inserted at each position. */
export function* atEachPlace(line: string, ...more: string[]): Generator<string[]> {
  const words = line.split(' ');
  for (let at = 0; at <= words.length; at++) yield [...words.slice(0, at), ...more, ...words.slice(at)];
}

/** A line with each prefix of one of its words. */
export function* shortened(line: string, word: string): Generator<Line> {
  for (let length = 0; length <= word.length; length++) {
    yield wordsOf(line).map((each) => (each === word ? word.slice(0, length) : each));
  }
}
