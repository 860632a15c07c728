/** Help, abbreviations and options, in every form, compared with iproute2's vdpa: output, errors, status. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { needsReference, startFrom } from '../support/kernel/lab/compare.js';
import { compareChanging, compareReading, compared } from '../support/kernel/lab/differential.js';
import { atEachPlace, foo0, inBothModes, shortened } from '../support/kernel/lab/line-variants.js';

describe("each line prints what iproute2's prints", needsReference, () => {
  test('help, and words that are not a command', async () => {
    await startFrom([]);
    await compareReading(
      inBothModes([
        [],
        'help',
        'mgmtdev',
        'mgmtdev help',
        'dev config help',
        'dev vstats help',
        'dev vstats',
        'dev vstats h',
        'dev vstats sho',
        'dev vstats list x',
        'dev config list',
        'dev config x',
        'mgmtdev add',
        'mgmtdev x',
        'dev x',
        'junk',
        'Dev',
        'dev Show',
        'mgmtdevs',
        'devs show',
        [''],
        ['dev', ''],
        ['mgmtdev', ''],
        ['dev', 'config', ''],
        ['dev', 'vstats', ''],
      ]),
    );
  });

  test('abbreviations', async () => {
    await startFrom(foo0);
    await compareReading([
      ...shortened('help', 'help'),
      ...shortened('mgmtdev show vduse', 'mgmtdev'),
      ...shortened('mgmtdev show vduse', 'show'),
      ...shortened('mgmtdev list vduse', 'list'),
      ...shortened('mgmtdev help', 'help'),
      ...shortened('dev show foo0', 'dev'),
      ...shortened('dev show foo0', 'show'),
      ...shortened('dev list foo0', 'list'),
      ...shortened('dev config show foo0', 'config'),
      ...shortened('dev config show foo0', 'show'),
      ...shortened('dev config help', 'help'),
      ...shortened('dev vstats show foo0 qidx 1', 'vstats'),
      ...shortened('dev vstats show foo0 qidx 1', 'show'),
      ...shortened('dev vstats show foo0 qidx 1', 'qidx'),
      ...shortened('dev add', 'add'),
      ...shortened('dev del', 'del'),
      ...shortened('dev set', 'set'),
      'd s',
      'd l',
      'm s',
      'm l vduse',
      'd c',
      'd c s foo0',
    ]);
  });

  test('abbreviated keywords', async () => {
    const whole =
      'dev add mgmtdev vdpasim_net name foo0 mac 02:00:00:00:00:01 mtu 1400 max_vqp 1 device_features 1000223';
    await compareChanging([
      ...['mgmtdev', 'name', 'mac', 'mtu', 'max_vqp', 'device_features'].flatMap((word) =>
        [...shortened(whole, word)].filter((line) => !line.includes('') && !line.includes('ma')),
      ),
    ]);
    await compareChanging(
      [
        ...shortened('dev set name foo0 mac 02:00:00:00:00:01', 'name'),
        ...shortened('dev set name foo0 mac 02:00:00:00:00:01', 'mac'),
      ],
      foo0,
    );
  });

  test('options in each position, joined, long, abbreviated', async () => {
    await startFrom(foo0);
    for (const line of ['dev show foo0', 'dev config show', 'mgmtdev show vduse', 'dev show nosuch']) {
      await compareReading([
        ...atEachPlace(line, '-jp'),
        ...atEachPlace(line, '--js', '--pre'),
        ...atEachPlace(line, '-p', '-j'),
      ]);
    }
    await compareReading([
      ...[...atEachPlace('dev show -- foo0', '-j')].filter((line) => line.indexOf('-j') <= 2),
      ...['-pj', '-jj', '-pp', '-jpj', '--json', '--j', '--jso', '--p', '--pretty', '-j --pretty', '-p -j -p --j'].map(
        (options) => `dev show ${options}`,
      ),
      ...['-h', '--h', '--help', '-jh', '-ph', '-hj junk', '-h -x', '--hel'],
    ]);
  });

  test('what follows two dashes, and a single one', async () => {
    await startFrom([]);
    await compareReading([
      '--',
      '-- -j',
      '-- dev',
      'dev -- show',
      'dev show -- -j',
      '-j dev show -- --json',
      '-',
      'dev -',
      'dev show -',
      '-- --',
      'dev show -- --',
      'dev -- -- show',
      '-- -- dev',
    ]);
  });

  test('unknown options', async () => {
    await startFrom([]);
    await compareReading([
      ...['-x', '-jx', '-xj', '-s', '-jps', '-1', '-?', '-:', '-W', '-Wjson', '-=', '-J', '-P', '-H', '-v'],
      ...[
        '--x',
        '--x=1',
        '--json=1',
        '--js=',
        '--jsonx',
        '--JSON',
        '---',
        '---json',
        '--pretty=',
        '--help=x',
        '--Version=1',
      ],
      ...[
        'dev show -x',
        'dev -x show',
        'dev show foo0 --nothing',
        '-x -h',
        '-x -V',
        '-jp -x dev show',
        'dev add mtu -1',
      ],
      ['-j', '-x', ''],
      ['--é'],
      ['--a b'],
      ['--\n'],
    ]);
  });

  test('POSIXLY_CORRECT', async () => {
    await startFrom(foo0);
    await compareReading(
      [
        '-j dev show',
        'dev -j',
        'dev show -j',
        'dev show foo0 -x y',
        '-jp -- dev show',
        '- -j',
        '-x',
        '-p dev',
        '-j -p dev show',
      ],
      { POSIXLY_CORRECT: '' },
    );
  });

  test('thousands of lines are compared', (context) => {
    context.diagnostic(`${compared} command lines compared with iproute2's`);
    assert.ok(compared >= 300);
  });
});
