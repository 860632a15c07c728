import assert from 'node:assert/strict';
import { test } from 'node:test';
import { helpOn } from '../../src/cli/dispatch.js';
import { mainHelp, commandHelp } from '../../src/cli/help.js';
import type { Branch } from '../../src/cli/branch.js';
import { tree } from '../../src/command-tree.js';
import { OutputError, type Io } from '../../src/cli/io.js';
import { Errno } from '../../src/sys/errno.js';
import { lines, vdpa as runVdpa, type Outcome } from '../support/command-line.js';

/** Runs a line that must not reach the kernel. */
function vdpa(argv: readonly string[], io: Partial<Io> = {}): Promise<Outcome> {
  return runVdpa(argv, { openTransport: () => assert.fail('nothing should be sent'), ...io });
}

test('help at each level needs no kernel', async () => {
  const main = lines(...mainHelp());
  for (const argv of [[], ['help'], ['h'], ['-h'], ['--he'], ['-jh'], ['junk', '-h'], ['help', 'junk']]) {
    assert.deepEqual(await vdpa(argv), { status: 0, stdout: '', stderr: main }, argv.join(' '));
  }
  const mgmtdev = lines('Usage: vdpa mgmtdev show [ DEV ]');
  assert.deepEqual(await vdpa(['m']), { status: 0, stdout: '', stderr: mgmtdev });
  assert.deepEqual(await vdpa(['mgmt', 'he']), { status: 0, stdout: '', stderr: mgmtdev });
  const config = lines('Usage: vdpa dev config show [ DEV ]');
  assert.deepEqual(await vdpa(['d', 'c', 'h']), { status: 0, stdout: '', stderr: config });
  const vstats = lines('Usage: vdpa dev vstats show DEV [qidx QUEUE_INDEX]');
  assert.deepEqual(await vdpa(['d', 'vstats', 'help']), { status: 0, stdout: '', stderr: vstats });
  assert.deepEqual(await vdpa(['d', 'vstats']), { status: 1, stdout: '', stderr: vstats });
});

test('-h, --help and help describe each command, at every level', async () => {
  const walk = async (branch: Branch, path: readonly string[]): Promise<void> => {
    for (const child of branch.children) {
      const words = [...path, child.names[0]];
      const usage = 'children' in child ? undefined : commandHelp((await child.load()).default);
      const expected = { status: 0, stdout: '', stderr: lines(...(usage ?? (await helpOn(words, tree)))) };
      assert.ok(expected.stderr.includes(`vdpa ${words.join(' ')}`) || usage !== undefined, words.join(' '));
      for (const argv of [
        [...words, '--help'],
        [...words, '-h'],
        ['-h', ...words],
        [...words, 'x', '-h', '--junk'],
        ['-h', '-o', 'json', ...words],
        ['-ho', 'json', ...words],
        ['-h', '--output', 'json', '-b', 'file', '-c=junk', ...words, '-V'],
        ['help', ...words],
        ...path.map((_word, at) => [...words.slice(0, at + 1), 'help', ...words.slice(at + 1)]),
      ]) {
        assert.deepEqual(await vdpa(argv), expected, argv.join(' '));
      }
      if ('children' in child) await walk(child, words);
    }
  };
  await walk(tree, []);
  for (const line of ['dev add', 'dev set', 'host show', 'sim reset']) {
    const { status, stderr } = await vdpa([...line.split(' '), 'help']);
    assert.deepEqual([status, stderr.startsWith(`Usage: vdpa ${line}`)], [0, true], line);
  }
});

test('each object has its help', async () => {
  for (const child of tree.children) {
    const { status, stdout, stderr } = await vdpa([child.names[0], 'help']);
    assert.deepEqual([status, stdout], [0, '']);
    assert.match(stderr, new RegExp(`^Usage: vdpa (\\[[^\\]]*\\] )?${child.names[0]}\\b`));
  }
  assert.equal(
    (await vdpa(['apply', 'help', 'dry_run'])).stderr,
    'Cannot read file "help": No such file or directory\n',
  );
});

test('the help of dev lists each command under it', async () => {
  const { stderr } = await vdpa(['dev', 'help']);
  for (const words of ['show', 'add', 'del', 'set', 'config show', 'vstats show', 'features show', 'stats show']) {
    assert.match(stderr, new RegExp(`^(Usage:|      ) vdpa dev ${words} `, 'm'));
  }
});

test('with -j there is exactly one JSON document, whatever else is printed', async () => {
  for (const argv of [
    [],
    ['help'],
    ['dev', 'help'],
    ['junk'],
    ['dev', 'junk'],
    ['dev', 'add'],
    ['dev', 'show', 'a', 'b'],
  ]) {
    const { stdout, stderr } = await vdpa(['-j', ...argv]);
    assert.deepEqual([stdout, stderr === ''], ['{}\n', false], argv.join(' '));
  }
});

test('words that are not a command', async () => {
  assert.deepEqual(await vdpa(['junk']), { status: 1, stdout: '', stderr: 'Object "junk" not found\n' });
  assert.deepEqual(await vdpa(['']), { status: 1, stdout: '', stderr: 'Object "" not found\n' });
  for (const word of ['', 'se', 'v', 'f', 'st', 'toString']) {
    assert.deepEqual(await vdpa(['dev', word]), { status: 1, stdout: '', stderr: `Command "${word}" not found\n` });
  }
  assert.deepEqual(await vdpa(['d', 'c', 'list']), { status: 1, stdout: '', stderr: 'Command "list" not found\n' });
  assert.deepEqual(await vdpa(['d', 'vstats', 's']), { status: 1, stdout: '', stderr: 'Command "s" not found\n' });
});

test('output that cannot be written is an error, but a closed pipe is silent', async () => {
  const failing = (errno: number): Partial<Io> => ({
    stdout: () => {
      throw new OutputError({ operation: 'write to standard output', errno });
    },
  });
  for (const argv of [['-j', 'help'], ['-V']]) {
    const full = await vdpa(argv, failing(Errno.ENOSPC));
    assert.equal(full.status, 1);
    assert.match(full.stderr, /vdpa: write to standard output: No space left on device \(ENOSPC\)\n$/);
    const gone = await vdpa(argv, failing(Errno.EPIPE));
    assert.equal(gone.status, 141);
    assert.doesNotMatch(gone.stderr, /write/);
  }
});

test('a bug of the program is reported as one, with its stack only on request', async () => {
  const broken: Partial<Io> = {
    openTransport: () => {
      throw new TypeError('broken');
    },
  };
  const said = lines('vdpa: broken', 'This is a bug in vdpa. Set VDPA_DEBUG=1 to see where it occurred.');
  assert.deepEqual(await vdpa(['dev'], broken), { status: 1, stdout: '', stderr: said });
  const { stderr } = await vdpa(['dev'], { ...broken, env: { VDPA_DEBUG: '1' } });
  assert.ok(stderr.startsWith(said) && /TypeError: broken\n {4}at /.test(stderr));
});
