/** Features that have a name here and none in iproute2's vdpa, according to docs/differences.md. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkoutRoot } from '../../../../lab/cache.js';

/** The names of device classes in the document. */
export type FeatureClass = 'net' | 'block' | 'others';

/** For each class, iproute2's name of a feature (`bit_40`), and ours (`RING_RESET`). */
export const featureNames: ReadonlyMap<FeatureClass, ReadonlyMap<string, string>> = readNames();

function readNames(): Map<FeatureClass, Map<string, string>> {
  const document = readFileSync(join(checkoutRoot, 'docs/differences.md'), 'utf8');
  const row = /^\| Named features † \|(.*)$/m.exec(document)?.[1]?.split('|') ?? [];
  const [, theirs = '', own = ''] = row;
  const classes = ['net', 'block', 'others'] as const;
  return new Map(
    classes.map((name) => {
      const [numbers, names] = [wordsFor(theirs, name), wordsFor(own, name)];
      assert.equal(numbers.length, names.length, `the row gives as many words for ${name} on both sides`);
      return [name, new Map(numbers.map((number, index) => [number, names[index] ?? '']))];
    }),
  );
}

/** The names in backticks that a cell gives for a class: `A B` and `C` for block. */
function wordsFor(cell: string, name: FeatureClass): string[] {
  const spans = new RegExp(`((?:\`[^\`]*\`(?: and )?)+) for ${name}\\b`).exec(cell)?.[1] ?? '';
  const words = spans.match(/\w+/g)?.filter((word) => word !== 'and') ?? [];
  assert.ok(words.length > 0, `the row gives words for ${name}`);
  return words;
}

/**
 * Output of iproute2 with our names if the document gives one for the device's class: text, `bit_40`, or JSON, where they are
 * numbers in a list. A configuration does not include the class: iproute2 shows only that of network devices.
 */
export function withFeatureNames(output: string): string {
  let names = featureNames.get('net');
  return output.replace(
    /supported_classes\W+(\w+)|\bbit_\d+\b|(?<=[[,]\s*)\d+(?=\s*[,\]])/g,
    (text: string, className?: string) => {
      if (className !== undefined) {
        names = featureNames.get(className === 'net' || className === 'block' ? className : 'others');
        return text;
      }
      const isText = text.startsWith('bit_');
      const name = names?.get(isText ? text : `bit_${text}`);
      return name === undefined ? text : isText ? name : `"${name}"`;
    },
  );
}
