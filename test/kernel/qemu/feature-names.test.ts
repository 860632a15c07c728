import '../../support/kernel/inside.js';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkoutRoot } from '../../../lab/cache.js';
import { ours, reference } from '../../support/kernel/compare.js';
import { needs, testsWith, VP_VDPA } from '../../support/kernel/needs.js';
import { bash } from '../../support/kernel/vduse.js';

const { test } = testsWith(VP_VDPA);

test('features of a disk of vp_vdpa have names here, and numbers there', needs('vdpa-iproute2'), async () => {
  await bash('bind-vp-vdpa');
  const document = readFileSync(join(checkoutRoot, 'docs/differences.md'), 'utf8');
  const row = /^\| Features that have a name † \|(.*)$/m.exec(document)?.[1]?.split('|') ?? [];
  const [, theirs = '', own = ''] = row;
  /** What the document says of block devices: the last two words in backticks of a cell. */
  const ofBlock = (cell: string): string[] => [...cell.matchAll(/`([^`]*)`/g)].map(([, text = '']) => text).slice(-2);
  const argv = ['mgmtdev', 'show', 'pci/0000:00:06.0'];
  for (const [cell, { stdout }] of [
    [theirs, reference(argv)],
    [own, await ours(argv)],
  ] as const) {
    for (const words of ofBlock(cell)) assert.match(stdout, new RegExp(` ${words}( |$)`, 'm'));
  }
});
