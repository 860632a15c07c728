import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { checkoutRoot } from '../../lab/cache.js';

const folder = mkdtempSync(join(tmpdir(), 'vdpa-parts-'));
after(() => {
  rmSync(folder, { recursive: true });
});

const watching = `
  const fs = require('node:fs');
  const parts = [];
  const { openSync } = fs;
  fs.openSync = (path, ...rest) => {
    const [, part] = /\\/parts\\/([^/]*)$/.exec(String(path)) ?? [];
    if (part !== undefined) parts.push(part);
    return openSync(path, ...rest);
  };
  const before = new Set(process.moduleLoadList);
  process.once('exit', () => {
    const modules = process.moduleLoadList.filter((name) => !before.has(name));
    console.error(JSON.stringify({ parts, modules }));
  });
  process.argv.splice(1, 0, 'vdpa');
  require(${JSON.stringify(join(checkoutRoot, 'bin/vdpa.js'))});`;

/** The parts of the bundle, and the modules of Node, that a command loads. */
function loadedBy(line: string): { readonly parts: readonly string[]; readonly modules: readonly string[] } {
  const env = { ...process.env, VDPA_SIM_STATE: join(folder, 'sim.json') };
  const argv = ['-e', watching, '--', ...line.split(' ')];
  const { stderr } = spawnSync(process.execPath, argv, { env, encoding: 'utf8' });
  return JSON.parse(stderr.trimEnd().split('\n').at(-1) ?? '') as ReturnType<typeof loadedBy>;
}

test('a command that shows loads no parts for changes, and no large module of Node', () => {
  loadedBy('--sim dev add mgmtdev vdpasim_net name foo0');
  for (const line of ['--sim dev show', '--sim dev config show', '--sim mgmtdev show']) {
    const { parts, modules } = loadedBy(line);
    assert.deepEqual(parts, ['main.js', 'sim.js'], line);
    const large = modules.filter((name) =>
      /^NativeModule (crypto|stream|http|worker_threads|child_process)$/.test(name),
    );
    assert.deepEqual(large, [], line);
  }
});

test('a command on the kernel loads no parts for changes, whether there is vDPA or not', () => {
  const { parts } = loadedBy('dev show');
  assert.deepEqual(parts.slice(0, 2), ['main.js', 'socket.js']);
  assert.equal(parts.includes('changes.js'), false);
});
