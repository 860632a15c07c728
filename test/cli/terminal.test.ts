/** Output on terminals that are narrow, or support neither escapes nor UTF-8. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import stringWidth from 'string-width';
import { isUtf8Locale } from '../../src/cli/terminal.js';
import { TestMachine } from '../support/test-machine.js';

const devices = ['foo0', 'foo1'].map((name) => `dev add mgmtdev vdpasim_net name ${name} mac 02:00:00:00:00:01`);

async function machine(): Promise<TestMachine> {
  const made = new TestMachine();
  for (const line of devices) await made.vdpa(line);
  return made;
}

test('TERM=dumb, LC_ALL=C, 40 columns: no escapes, ASCII trees, tables that fit', async () => {
  const env = { TERM: 'dumb', LC_ALL: 'C', LANG: 'en_US.UTF-8', COLUMNS: '40', VDPA_SIM: '1' };
  const made = await machine();
  for (const line of [
    '-c tree',
    '-c=auto tree',
    '-c --table dev show',
    '-c --table mgmtdev show',
    '--table dev config show',
  ]) {
    const { status, stdout } = await made.vdpa(line, { env, isTerminal: () => true });
    assert.equal(status, 0, line);
    assert.match(stdout, /^[\n -~]+$/, line);
    if (!line.includes('--table')) assert.match(stdout, /^(\|--|`--) foo0/m);
    else for (const shown of stdout.split('\n')) assert.ok(shown.length <= 40, `${line}: ${shown}`);
  }
  assert.ok((await made.vdpa('-c=always tree', { env })).stdout.includes('\x1b['), 'an explicit always');
});

test('a table fits its terminal, and COLUMNS takes precedence', async () => {
  const made = await machine();
  const widest = async (columns: number, env: NodeJS.ProcessEnv = {}): Promise<number> => {
    const terminalSize = (): { columns: number; rows: number } => ({ columns, rows: 24 });
    const { stdout } = await made.vdpa('--table mgmtdev show', { env, isTerminal: () => true, terminalSize });
    return Math.max(...stdout.split('\n').map((line) => stringWidth(line)));
  };
  assert.ok((await widest(50)) <= 50);
  assert.ok((await widest(500)) > 50);
  assert.ok((await widest(500, { COLUMNS: '40' })) <= 40);
  assert.equal(await widest(500, { COLUMNS: 'x' }), await widest(500));
});

test('the locale determines whether to use UTF-8: LC_ALL before LC_CTYPE before LANG', () => {
  for (const env of [
    {},
    { LANG: '' },
    { LANG: 'C.UTF-8' },
    { LANG: 'de_DE.utf8' },
    { LC_ALL: '', LANG: 'en_US.UTF-8' },
  ]) {
    assert.equal(isUtf8Locale(env), true, JSON.stringify(env));
  }
  for (const env of [
    { LC_ALL: 'C', LANG: 'en_US.UTF-8' },
    { LC_CTYPE: 'POSIX' },
    { LANG: 'de_DE.ISO-8859-1' },
    { LANG: 'de_DE' },
  ]) {
    assert.equal(isUtf8Locale(env), false, JSON.stringify(env));
  }
});
