/** The commands under oclif's own runner, which the executable does not use. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Command, Config } from '@oclif/core';
import { checkoutRoot } from '../../lab/cache.js';
import DevAdd from '../../src/commands/dev/add.js';
import DevShow from '../../src/commands/dev/show.js';
import { commandWords } from '../support/output-schemas.js';
import { programEnv } from '../support/simulating-program.js';
import { TestMachine } from '../support/test-machine.js';

// A package as npm installs it, whose commands are those that the tests were built with.
const folder = mkdtempSync(join(tmpdir(), 'vdpa-oclif-'));
after(() => {
  rmSync(folder, { recursive: true });
});
const { name, version, oclif } = JSON.parse(readFileSync(join(checkoutRoot, 'package.json'), 'utf8')) as {
  name: string;
  version: string;
  oclif: { commands: string };
};
assert.equal(oclif.commands, './dist/commands');
writeFileSync(
  join(folder, 'package.json'),
  JSON.stringify({ name, version, type: 'module', oclif: { ...oclif, commands: './commands' } }),
);
symlinkSync(join(checkoutRoot, 'build/src/commands'), join(folder, 'commands'));
symlinkSync(join(checkoutRoot, 'node_modules'), join(folder, 'node_modules'));
writeFileSync(
  join(folder, 'run.js'),
  "import { execute } from '@oclif/core';\nawait execute({ dir: import.meta.url });\n",
);

test('the commands are oclif commands, and oclif finds all of them', async () => {
  const config = await Config.load(folder);
  assert.deepEqual(config.commandIDs.map((id) => id.replaceAll(':', ' ')).sort(), commandWords().sort());
  for (const CommandType of [DevShow, DevAdd]) {
    const command = new CommandType(['foo0'], config);
    assert.ok(command instanceof Command);
    assert.deepEqual([command.argv, command.config], [['foo0'], config]);
  }
  const loaded = await config.findCommand('dev:show', { must: true }).load();
  assert.deepEqual([loaded.summary, loaded.usage, loaded.strict], [DevShow.summary, DevShow.usage, false]);
});

test("under oclif's own runner they do the same as without it", async () => {
  const machine = new TestMachine();
  const env = { ...programEnv, VDPA_SIM: '1', VDPA_SIM_STATE: join(folder, 'sim.json'), HOME: folder };
  for (const line of [
    'dev add mgmtdev vdpasim_net name foo0 mtu 9000',
    'dev show foo0 -jp',
    'dev config show',
    'dev del nosuch',
    'dev show foo0 junk',
  ]) {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(folder, 'run.js'), ...line.split(' ')], {
      env,
      encoding: 'utf8',
    });
    assert.deepEqual({ status, stdout, stderr }, await machine.vdpa(line, { env: { VDPA_SIM: '1' } }), line);
  }
});
