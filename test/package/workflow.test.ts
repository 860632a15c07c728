/** The GitHub workflow runs the same as continuous integration, on every supported version of Node. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkoutRoot } from '../../lab/cache.js';

const workflow = readFileSync(join(checkoutRoot, '.github/workflows/ci.yml'), 'utf8');
const { engines } = JSON.parse(readFileSync(join(checkoutRoot, 'package.json'), 'utf8')) as {
  engines: { node: string };
};

test('.ci/run runs on the oldest supported version of Node, on each even one since, and on the newest', () => {
  const [, list = ''] = /^ +node: \[(.*)\]$/m.exec(workflow) ?? [];
  const [oldest = ''] = /\d+/.exec(engines.node) ?? [];
  assert.deepEqual(list.split(', '), [`'${oldest}'`, "'22'", "'24'", 'latest']);
  assert.match(workflow, /^ +run: sudo .* \.ci\/run$/m);
  assert.ok(existsSync(join(checkoutRoot, '.ci/run')));
});
