/** The scripts in completions/, in their shells. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, test } from 'node:test';
import { checkoutRoot } from '../../lab/cache.js';
import { needs } from '../support/kernel/lab/needs.js';

const folder = mkdtempSync(join(tmpdir(), 'vdpa-completions-'));
after(() => {
  rmSync(folder, { recursive: true });
});

// A `vdpa` that records its arguments, and offers candidates of every awkward kind.
writeFileSync(
  join(folder, 'vdpa'),
  `#!/bin/sh
printf '%s|' "$@" >${folder}/asked
for word; do :; done
case $word in
  --batch=*) printf '%s\\t\\n' '--batch=/h/a b.json' ;;
  '~/'*) printf '%s\\t\\n' '~/a b.json' '~/more/' ;;
  q*) printf '%s\\t\\n' 'q"u$o t\\e'"'s" ;;
  s*) printf 'show\\tshow them\\nset\\t\\n' ;;
  /f*) printf '/f/a b.json\\t\\n/f/more/\\t\\n' ;;
  /g*) printf '/g/only/\\t\\n' ;;
  pci*) printf 'pci/0000:03:00.2\\t\\npci/0000:03:00.3\\ton a bus\\n' ;;
  *) printf 'a b\\twith "quotes"\\n' ;;
esac
`,
  { mode: 0o755 },
);

/** Runs a script in a shell. Returns the arguments that `vdpa` got, and what the script printed. */
function inShell(shell: string, args: readonly string[], script: string): { asked: string; lines: string[] } {
  const { stdout, stderr, status } = spawnSync(shell, [...args, script], {
    encoding: 'utf8',
    env: { PATH: [folder, process.env['PATH']].join(delimiter), HOME: folder, TERM: 'dumb' },
  });
  assert.deepEqual([stderr, status], ['', 0]);
  const asked = spawnSync('cat', [join(folder, 'asked')], { encoding: 'utf8' }).stdout;
  return { asked, lines: stdout.split('\n').slice(0, -1) };
}

const bashScript = join(checkoutRoot, 'completions/vdpa.bash');

/** Completes in bash as readline does: with the words it has split, and the line. */
function inBash(line: string, words: readonly string[]): { asked: string; lines: string[] } {
  const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
  const { asked, lines } = inShell(
    'bash',
    ['--norc', '-c'],
    `. ${quote(bashScript)}; COMP_WORDS=(${words.map(quote).join(' ')}) COMP_CWORD=${words.length - 1}` +
      ` COMP_LINE=${quote(line)} COMP_POINT=${line.length} COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'` +
      `; _vdpa vdpa; printf '%s\\n' "\${COMPREPLY[@]}"; complete -p vdpa`,
  );
  assert.equal(lines.pop(), 'complete -F _vdpa vdpa');
  return { asked, lines };
}

test('bash completes words', needs('bash'), () => {
  assert.deepEqual(inBash('vdpa  dev s', ['vdpa', 'dev', 's']), { asked: '__complete|dev|s|', lines: ['show', 'set'] });
  assert.deepEqual(inBash('vdpa dev show ', ['vdpa', 'dev', 'show', '']).asked, '__complete|dev|show||');
});

test('bash joins what readline split at colons, and completes what follows the last colon', needs('bash'), () => {
  const words = ['vdpa', 'mgmtdev', 'show', 'pci/0000', ':', '03', ':'];
  words.splice(2, 1);
  assert.deepEqual(inBash('vdpa mgmtdev pci/0000:03:', words), {
    asked: '__complete|mgmtdev|pci/0000:03:|',
    lines: ['00.2', '00.3'],
  });
  const mac = ['vdpa', 'dev', 'add', 'mac', '00', ':', '11', ':', '22', 'mt'];
  assert.equal(inBash('vdpa dev add mac 00:11:22 mt', mac).asked, '__complete|dev|add|mac|00:11:22|mt|');
});

test('bash quotes candidates and never runs what is typed', needs('bash'), () => {
  const { asked, lines } = inBash('vdpa dev "$(touch x)" \'a', ['vdpa', 'dev', '"$(touch x)"', "'a"]);
  assert.deepEqual({ asked, lines }, { asked: '__complete|dev|$(touch x)|a|', lines: ['a b'] });
});

test('bash quotes a candidate so that the shell reads it unchanged', needs('bash'), () => {
  const name = `q"u$o t\\e's`;
  for (const open of ['q', '"q', "'q"]) {
    const { lines } = inBash(`vdpa apply ${open}`, ['vdpa', 'apply', open]);
    // Readline keeps the quote that was typed, and adds the closing one.
    const quote = open.slice(0, -1);
    assert.equal(inShell('bash', ['--norc', '-c'], `printf %s\\\\n ${quote}${lines[0] ?? ''}${quote}`).lines[0], name);
  }
});

test('bash completes after "=", and keeps a "~" that is the home folder', needs('bash'), () => {
  assert.deepEqual(inBash('vdpa --batch=/h', ['vdpa', '--batch', '=', '/h']), {
    asked: '__complete|--batch=/h|',
    lines: ['/h/a\\ b.json'],
  });
  assert.deepEqual(inBash('vdpa --batch=', ['vdpa', '--batch', '=']).lines, ['/h/a\\ b.json']);
  assert.deepEqual(inBash('vdpa apply ~/', ['vdpa', 'apply', '~/']).lines, ['~/a\\ b.json', '~/more/']);
});

test('bash completes files, and continues within a folder', needs('bash'), () => {
  assert.deepEqual(inBash('vdpa apply /f', ['vdpa', 'apply', '/f']).lines, ['/f/a\\ b.json', '/f/more/']);
  assert.deepEqual(inBash('vdpa -b /g', ['vdpa', '-b', '/g']), { asked: '__complete|-b|/g|', lines: ['/g/only/'] });
});

test('fish completes words', needs('fish'), () => {
  const script = join(checkoutRoot, 'completions/vdpa.fish');
  const complete = (line: string): { asked: string; lines: string[] } =>
    inShell('fish', ['--no-config', '-c'], `source '${script}'; complete -C '${line}'`);
  assert.deepEqual(complete('vdpa dev s'), { asked: '__complete|dev|s|', lines: ['set', 'show\tshow them'] });
  assert.deepEqual(complete('vdpa dev '), { asked: '__complete|dev||', lines: ['a b\twith "quotes"'] });
  assert.deepEqual(complete('vdpa restore /f').lines, ['/f/a b.json', '/f/more/']);
  assert.deepEqual(complete('vdpa restore "/f').lines, ['/f/a b.json', '/f/more/']);
  assert.deepEqual(complete('vdpa restore /f/a\\\\ ').asked, '__complete|restore|/f/a |');
  assert.deepEqual(complete('vdpa --batch=/h').lines, ['--batch=/h/a b.json']);
  assert.deepEqual(complete('vdpa apply ~/').lines, ['~/a b.json', '~/more/']);
  assert.deepEqual(complete('vdpa -b /g'), { asked: '__complete|-b|/g|', lines: ['/g/only/'] });
  assert.deepEqual(complete('vdpa mgmtdev pci/0000:').lines, ['pci/0000:03:00.2', 'pci/0000:03:00.3\ton a bus']);
});

test('zsh completes words', needs('zsh'), () => {
  const script = join(checkoutRoot, 'completions/_vdpa');
  // Completion functions run only in the line editor; these are stand-ins for what the script calls.
  const complete = (...words: string[]): { asked: string; lines: string[] } =>
    inShell(
      'zsh',
      ['-f', '-c'],
      `words=(${words.map((word) => `'${word}'`).join(' ')}); CURRENT=$#words PREFIX=$words[-1]
      _describe() { print -rl -- "$@[3]" "\${(@P)4}" $@[5,-1] }
      . '${script}'`,
    );
  assert.deepEqual(complete('vdpa', 'dev', 's'), {
    asked: '__complete|dev|s|',
    lines: ['vdpa', 'show:show them', 'set:'],
  });
  assert.deepEqual(complete('vdpa', 'dev', '').asked, '__complete|dev||');
  assert.deepEqual(complete('vdpa', 'apply', '/f').lines, ['vdpa', '/f/a b.json:', 'vdpa', '/f/more/', '-S']);
  assert.deepEqual(complete('vdpa', '--batch=/h').lines, ['vdpa', '--batch=/h/a b.json:']);
  // "~/" is no longer part of what is completed.
  assert.deepEqual(complete('vdpa', 'apply', '~/').lines, ['vdpa', 'a b.json:', 'vdpa', 'more/', '-S']);
  assert.deepEqual(complete('vdpa', 'mgmtdev', 'pci/0').lines.slice(1), [
    'pci/0000\\:03\\:00.2:',
    'pci/0000\\:03\\:00.3:on a bus',
  ]);
});
