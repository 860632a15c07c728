import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from '../../src/cli/error.js';
import { parseOptions, type Options } from '../../src/cli/options.js';

const none: Options = {
  json: false,
  pretty: false,
  sim: false,
  details: false,
  timestamp: false,
  watch: false,
  table: false,
  trace: false,
  color: 'never',
};

function command(argv: string[], env: NodeJS.ProcessEnv = {}): { options: Options; words: readonly string[] } {
  const line = parseOptions(argv, env);
  assert.ok(line.kind === 'command');
  return { options: line.options, words: line.args };
}

test('options stand anywhere, joined or separate, short or long, and long ones may be abbreviated', () => {
  const expected = { options: { ...none, json: true, pretty: true }, words: ['dev', 'show', 'foo0'] };
  for (const line of [
    '-jp dev show foo0',
    'dev show foo0 -jp',
    'dev -j show -p foo0',
    '--json dev show --pretty foo0',
    'dev show foo0 --js --pre',
    'dev show foo0 -json -pretty',
    '-pj dev show foo0 -j',
    '-n dev show foo0 -jp',
    'dev show foo0 -no-nice-names -jp',
  ]) {
    assert.deepEqual(command(line.split(' ')), expected, line);
  }
});

test('options beyond iproute2, and those with a value', () => {
  const say = (line: string): Options => command(line.split(' ')).options;
  assert.deepEqual(say('-d dev show'), { ...none, details: true });
  assert.deepEqual(say('dev show -details -t'), { ...none, details: true, timestamp: true });
  assert.deepEqual(say('-dj dev show --tab'), { ...none, details: true, json: true, table: true });
  for (const line of ['-o dot tree', 'tree -odot', 'tree --output=dot', 'tree --out dot', 'tree -output dot']) {
    assert.deepEqual(command(line.split(' ')), { options: { ...none, output: 'dot' }, words: ['tree'] }, line);
  }
  assert.equal(say('-jodot tree').json, true);
  assert.equal(say('-c dev').color, 'always');
  assert.equal(say('-c=auto dev').color, 'auto');
  assert.equal(say('-color=always dev').color, 'forced');
  assert.equal(say('--color=never dev').color, 'never');
  assert.equal(command(['dev'], { VDPA_TRACE: '1' }).options.trace, true);
  for (const line of ['-c=pink dev', '-o', '--output', '-d=1 dev', '--details=1', '--t']) {
    assert.throws(() => say(line), UsageError, line);
  }
});

test('what follows -- is not parsed', () => {
  assert.deepEqual(command(['-j', '--', '-p', '--json']), {
    options: { ...none, json: true, literal: 2 },
    words: ['-p', '--json'],
  });
});

test('a single dash is a word', () => {
  assert.deepEqual(command(['dev', 'show', '-']), { options: none, words: ['dev', 'show', '-'] });
});

test('POSIXLY_CORRECT ends options at the first word', () => {
  assert.deepEqual(command(['-j', 'dev', '-p'], { POSIXLY_CORRECT: '' }), {
    options: { ...none, json: true },
    words: ['dev', '-p'],
  });
});

test('the simulation is used only if an option or the environment asks for it', () => {
  assert.equal(command(['dev']).options.sim, false);
  assert.equal(command(['dev', '--sim']).options.sim, true);
  assert.equal(command(['dev'], { VDPA_SIM: '1' }).options.sim, true);
  assert.equal(command(['dev'], { VDPA_SIM: '0' }).options.sim, false);
  assert.equal(command(['dev'], { VDPA_SIM: '' }).options.sim, false);
});

test('version and help take effect in the order of the line', () => {
  assert.equal(parseOptions(['dev', '-V', '-x'], {}).kind, 'version');
  assert.equal(parseOptions(['-jh', '-V'], {}).kind, 'help');
  assert.equal(parseOptions(['--Ver'], {}).kind, 'version');
  assert.throws(() => parseOptions(['-x', '-V'], {}), UsageError);
});

test('an unknown option is reported as getopt reports it', () => {
  const first = (argv: string[]): string | undefined => {
    try {
      parseOptions(argv, {});
    } catch (error) {
      if (error instanceof UsageError) return error.message.split('\n')[0];
    }
    return undefined;
  };
  assert.equal(first(['-jx']), "vdpa: invalid option -- 'x'");
  assert.equal(first(['-j😀x']), "vdpa: invalid option -- '😀'");
  assert.equal(first(['-jps']), 'Unknown option.');
  assert.equal(first(['-s']), 'Unknown option.');
  assert.equal(first(['-jo']), "vdpa: option requires an argument -- 'o'");
  assert.equal(first(['--out']), "vdpa: option '--output' requires an argument");
  assert.equal(first(['--nothing']), "vdpa: unrecognized option '--nothing'");
  assert.equal(first(['--json=1']), "vdpa: option '--json' doesn't allow an argument");
});
